"""Classifier evaluation: accuracy, F1, curves and the confusion matrix, from known scores."""

from pathlib import Path

import numpy as np
import pytest

from vott_trainer.annotations import Box
from vott_trainer.vision.classifier_evaluation import Shown, evaluate_classes


def test_classifier_predicts_the_class_with_the_highest_score() -> None:
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]])
    shown = [Shown(Path(f"{number}.jpg"), f"https://store/{number}.jpg") for number in range(4)]
    evaluation = evaluate_classes([0, 0, 1, 1], scores, ["cat", "dog"], shown)
    assert evaluation.metrics == pytest.approx({"accuracy": 0.75, "f1": (2 / 3 + 0.8) / 2})
    assert next(iter(evaluation.metrics)) == "accuracy"
    assert evaluation.per_class["cat"] == pytest.approx({"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "count": 2.0})
    assert evaluation.confusion
    assert evaluation.confusion.counts == [[1, 1], [0, 2]]
    assert not evaluation.confusion.with_background
    assert (evaluation.examples[0].name, evaluation.examples[0].is_correct) == ("https://store/1.jpg", False)
    assert evaluation.curves["dog"][0].precision == 1
    assert [(point.count, point.correct) for point in evaluation.reliability] == [(1, 0.0), (1, 1.0), (2, 1.0)]


def test_class_of_a_classifier_may_be_called_background() -> None:
    shown = [Shown(Path("0.jpg"), "0.jpg"), Shown(Path("1.jpg"), "1.jpg", Box(0, 0, 4, 4, "background"))]
    evaluation = evaluate_classes([0, 1], np.eye(2), ["a", "background"], shown)
    assert evaluation.metrics["accuracy"] == 1
    assert set(evaluation.per_class) == {"a", "background"}
    assert all(example.is_correct for example in evaluation.examples)


def test_curve_has_a_point_for_each_hundredth_of_recall() -> None:
    scores = np.linspace(0.5, 1, 400)
    shown = [Shown(Path("0.jpg"), "0.jpg")] * 400
    curve = evaluate_classes([0, 1] * 200, np.stack((scores, 1 - scores), axis=1), ["cat", "dog"], shown).curves["cat"]
    assert [point.recall for point in curve] == pytest.approx([number / 100 for number in range(101)], abs=0.006)
    assert [point.score for point in curve] == sorted((point.score for point in curve), reverse=True)
