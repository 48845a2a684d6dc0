"""Calibration: how often predictions with a score are correct, and what the report says about it."""

import numpy as np
import pytest

from vott_trainer.plugin_api import Evaluation, ReliabilityPoint
from vott_trainer.report import Result
from vott_trainer.report.calibration import calibration_error, meaning_of_scores
from vott_trainer.report.curves import curves
from vott_trainer.vision.average_precision import Outcomes
from vott_trainer.vision.calibration import detector_reliability, reliability

POINTS = [ReliabilityPoint(0.15, 0.0, 9), ReliabilityPoint(0.35, 0.6, 20), ReliabilityPoint(0.95, 0.9, 30)]


def test_predictions_are_summarized_in_ten_bins_of_their_scores() -> None:
    scores, correct = np.array([0.2, 0.25, 1.0, 0.9, 0.199]), np.array([True, False, True, True, False])
    points = reliability(scores, correct)
    assert [point.count for point in points] == [1, 2, 2]
    assert [point.score for point in points] == pytest.approx([0.199, 0.225, 0.95])
    assert [point.correct for point in points] == [0.0, 0.5, 1.0]


def test_detections_below_the_threshold_of_their_class_do_not_count() -> None:
    cat = Outcomes(np.array([0.3, 0.29]), np.array([True, False]), 1)
    dog = Outcomes(np.array([0.8, 0.79]), np.array([False, True]), 1)
    (low, high) = detector_reliability({"cat": cat, "dog": dog}, {"cat": 0.3, "dog": 0.8})
    assert (low, high) == (ReliabilityPoint(0.3, 1.0, 1), ReliabilityPoint(0.8, 0.0, 1))
    assert detector_reliability({}, {"cat": 0.5}) == []


def test_calibration_error_is_the_mean_distance_of_score_and_share_over_all_predictions() -> None:
    assert calibration_error(POINTS) == pytest.approx((9 * 0.15 + 20 * 0.25 + 30 * 0.05) / 59)
    assert calibration_error([]) == 0


def test_sentence_names_the_lowest_and_the_highest_score_that_are_frequent_enough() -> None:
    assert meaning_of_scores(POINTS) == (
        "A score of about 0.35 means: right in 60 % of cases (12 of 20); about 0.95 means 90 % of cases (27 of 30)."
    )
    assert meaning_of_scores(POINTS[:2]) == "A score of about 0.35 means: right in 60 % of cases (12 of 20)."


def test_few_predictions_say_nothing_about_scores() -> None:
    assert meaning_of_scores([ReliabilityPoint(0.95, 1.0, 9)]) == (
        "With only 9 predictions on the held-out images, nobody can say what a score means."
    )
    assert meaning_of_scores([]) == ""


def test_report_draws_each_point_with_its_number_of_predictions() -> None:
    (chart,) = curves(Result("p", {"a": 1.0}, evaluation=Evaluation({"a": 1.0}, reliability=POINTS)))
    assert chart.lines[0].points == [(0.15, 0.0), (0.35, 0.6), (0.95, 0.9)]
    assert all(f">{point.count}<" in chart.svg for point in POINTS)
    assert meaning_of_scores(POINTS) in chart.meaning


def test_report_of_a_plugin_without_reliability_has_no_such_chart() -> None:
    assert curves(Result("p", {"a": 1.0}, evaluation=Evaluation({"a": 1.0}))) == []
