"""The score threshold of each class, chosen from known outcomes on held-out images."""

import numpy as np
import pytest

from vott_trainer.plugin_api.thresholds import MIN_SCORE_SHOWN
from vott_trainer.vision.average_precision import Image, Objects, Outcomes, average_precision
from vott_trainer.vision.score_thresholds import score_thresholds


def outcomes(correct: list[float], wrong: list[float], objects: int) -> Outcomes:
    """Outcomes from the scores of the correct and of the wrong predictions."""
    is_correct = [True] * len(correct) + [False] * len(wrong)
    return Outcomes(np.array(correct + wrong, np.float64), np.array(is_correct, np.bool_), objects)


def many(lowest: float, highest: float) -> list[float]:
    return [lowest + (highest - lowest) * n / 499 for n in range(500)]


@pytest.mark.parametrize(("correct", "wrong"), [((0.25, 0.4), (0.05, 0.2)), ((0.8, 0.95), (0.05, 0.7))])
def test_threshold_separates_correct_from_wrong_predictions(
    correct: tuple[float, float], wrong: tuple[float, float]
) -> None:
    found = score_thresholds({"cat": outcomes(many(*correct), many(*wrong), 500)}, ["cat"])
    assert wrong[1] - 0.05 < found["cat"] < correct[0] + 0.05


def test_threshold_balances_precision_and_recall_where_scores_overlap() -> None:
    """A few wrong predictions cost less than the objects that a threshold above them would miss."""
    few_wrong = score_thresholds({"cat": outcomes(many(0.05, 1), many(0.05, 0.5), 500)}, ["cat"])["cat"]
    many_wrong = score_thresholds({"cat": outcomes(many(0.05, 1), many(0.05, 0.5) * 20, 500)}, ["cat"])["cat"]
    assert few_wrong < many_wrong == pytest.approx(0.5, abs=0.1)


def test_each_class_has_its_own_threshold_if_it_has_enough_objects() -> None:
    low, high = outcomes(many(0.25, 0.4), many(0.05, 0.2), 500), outcomes(many(0.8, 0.95), many(0.05, 0.7), 500)
    found = score_thresholds({"low": low, "high": high}, ["low", "high"])
    assert found["low"] < 0.3
    assert found["high"] > 0.7


def test_few_objects_do_not_move_a_class_far_from_the_others() -> None:
    """By its own two objects alone, the threshold of `rare` would be above 0.9."""
    common, rare = outcomes(many(0.3, 0.6), many(0.05, 0.25), 500), outcomes([0.95], [0.9], 2)
    found = score_thresholds({"common": common, "rare": rare}, ["common", "rare"])
    assert found["rare"] == pytest.approx(found["common"], abs=0.05)
    assert score_thresholds({"rare": rare}, ["rare"])["rare"] > 0.8


def test_class_without_objects_has_the_threshold_of_all_classes() -> None:
    common = outcomes(many(0.3, 0.6), many(0.05, 0.25), 500)
    found = score_thresholds({"common": common, "unseen": outcomes([], [], 0)}, ["common", "unseen", "undetected"])
    assert found["unseen"] == found["undetected"] == pytest.approx(found["common"], abs=0.02)


@pytest.mark.parametrize("found", [{}, {"cat": outcomes([], [0.9, 0.8], 3)}])
def test_without_a_correct_prediction_every_class_has_the_usual_threshold(found: dict[str, Outcomes]) -> None:
    assert score_thresholds(found, ["cat", "dog"]) == {"cat": MIN_SCORE_SHOWN, "dog": MIN_SCORE_SHOWN}


def test_threshold_keeps_away_from_scores_just_above_which_all_is_lost() -> None:
    """F1 is 0.87 below 0.8, 1 at 0.8 and 0 above: on other images 0.8 would miss half of the objects."""
    found = score_thresholds({"cat": outcomes([0.8] * 100, [0.795] * 30, 100)}, ["cat"])
    assert 0.5 < found["cat"] < 0.75


def test_margin_is_equal_on_both_sides_if_no_prediction_is_wrong() -> None:
    found = score_thresholds({"cat": outcomes([0.9] * 50, [], 50)}, ["cat"])
    assert 0.3 < found["cat"] < 0.6


def test_prediction_is_correct_at_an_iou_of_one_half_and_once_for_each_object() -> None:
    """At IoU 0.75 the second prediction, which fits better, would be the correct one."""
    truth = Objects([[0, 0, 10, 10], [50, 50, 10, 10]], [1, 2])
    predicted = Objects(
        [[0, 0, 10, 6], [0, 0, 10, 8], [50, 50, 10, 4], [0, 0, 9, 9]], [1, 1, 2, 2], [0.9, 0.8, 0.7, 0.6]
    )
    found = average_precision([Image(100, 100, truth, predicted)], ["cat", "dog", "bird"]).outcomes
    assert {label: (one.scores.tolist(), one.correct.tolist(), one.objects) for label, one in found.items()} == {
        "cat": ([0.9, 0.8], [True, False], 1),
        "dog": ([0.7, 0.6], [False, False], 1),
        "bird": ([], [], 0),
    }
