"""The report's sentences: grade, summary, advice, and the mistakes in a picture."""

import dataclasses

import pytest

from tests.support.training_results import box
from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Confusion, Evaluation, Prediction
from vott_trainer.report import Result, wording
from vott_trainer.report.advice import advice
from vott_trainer.report.grades import grade
from vott_trainer.report.pictures import _mark, sentence
from vott_trainer.vision import matching
from vott_trainer.vision.confusion_matrix import class_metrics


def test_confused_classes_get_advice() -> None:
    confusion = Confusion(["cat", "dog", "background"], [[6, 4, 0], [0, 9, 1], [0, 2, 0]], with_background=True)
    sentences = advice(result(confusion))
    assert sentences[0].startswith("“cat” is mistaken for “dog” (4 times).")
    assert sentences[1].startswith("“cat” is often missed: 6 of 10 found.")
    assert len(sentences) == 2


def test_class_with_few_examples_or_no_held_out_ones_gets_advice() -> None:
    confusion = Confusion(["cat", "dog", "background"], [[0, 0, 0], [0, 9, 0], [0, 0, 0]], with_background=True)
    sentences = advice(dataclasses.replace(result(confusion), counts={"boxes": {"cat": 1, "dog": 60}}))
    assert sentences[0].startswith("“cat” is in none of the held-out images")
    assert sentences[1].startswith("“cat” has only 1 example.")


@pytest.mark.parametrize(("last", "advised"), [(0.8, True), (0.51, False)])
def test_longer_training_is_advised_if_the_model_was_still_improving(last: float, advised: bool) -> None:
    rows = [{"epoch": number, "mAP50": value} for number, value in enumerate((0.1, 0.3, 0.5, 0.5, last))]
    improving = dataclasses.replace(result(None), metrics={"mAP50": last}, history=rows)
    assert any("Train longer" in sentence for sentence in advice(improving)) is advised


def test_few_measured_objects_give_a_caveat() -> None:
    few = Confusion(["cat"], [[9]])
    caveat = wording.caveat(Evaluation({"accuracy": 1.0}, confusion=few))
    assert caveat.startswith("These numbers are rough: they rest on only 9 examples.")
    assert wording.caveat(Evaluation({"accuracy": 1.0}, confusion=Confusion(["cat"], [[90]]))) == ""


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"mAP50": 0.93}, "Very good"),
        ({"mAP50": 0.2}, "Not good yet"),
        ({"accuracy": 0.9}, "Good"),
        ({"bleu": 0.5}, ""),
    ],
)
def test_known_metrics_get_a_grade(metrics: dict[str, float], expected: str) -> None:
    assert grade(Evaluation(metrics)) == expected


def test_mistakes_come_first_and_many_are_counted() -> None:
    one = {name: Prediction(name, 0.9) for name in "abcdefg"}
    assert sentence([(one["a"], one["a"]), (one["b"], None), (one["b"], None)]) == "b missed (2 times); a found"
    missed = [(one[name], None) for name in "abcde"]
    correct = [(one[name], one[name]) for name in "abcd"]
    assert sentence([*correct, *missed]) == "a missed; b missed; c missed; 2 other mistakes; 4 found"
    assert sentence([]) == "no objects, and none predicted"


def test_text_at_the_right_edge_stays_in_the_picture() -> None:
    prediction = Prediction("a long name", 0.9, Box(560, 100, 70, 70, "a long name"))
    mark = _mark((None, prediction), [], 1.0, 640, 24)
    assert mark
    assert (mark.anchor, mark.text_x) == ("end", 630)


def test_duplicate_badly_fitting_and_wrong_boxes_are_distinguished() -> None:
    truth = [box(0), box(20)]
    pairs = matching.match(truth, [box(0, 0.9), box(3, 0.8), box(25, 0.7), box(60, 0.6)])
    assert sentence(pairs) == (
        "duplicate box on cat; badly fitting box on cat; cat predicted where none is annotated; "
        "1 other mistake; cat found"
    )


def result(confusion: Confusion | None) -> Result:
    per_class = class_metrics(confusion, ["cat", "dog"]) if confusion else {}
    return Result("detection", {"mAP50": 0.5}, evaluation=Evaluation({"mAP50": 0.5}, per_class, confusion=confusion))
