"""Confidence intervals: AP as faster-coco-eval computes it, how wide intervals are, and that they hold what they promise."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Evaluation, Example, Interval, Intervals, Prediction
from vott_trainer.vision import matching
from vott_trainer.vision.average_precision import AveragePrecision, Image, Objects, average_precision
from vott_trainer.vision.bootstrap import RESAMPLES, interval, resample
from vott_trainer.vision.class_ratios import resampled_ratios
from vott_trainer.vision.classifier_evaluation import Shown, evaluate_classes
from vott_trainer.vision.confusion_matrix import class_metrics, confusion_matrix
from vott_trainer.vision.intervals import detector_intervals
from vott_trainer.vision.resampled_precision import resampled_precision

LABELS = ["cat", "dog", "rare", "never there"]


def images(number: int, seed: int) -> list[Image]:
    """Images of some objects with predictions, good and bad, many with equal scores."""
    rng = random.Random(seed)
    return [image(rng) for _ in range(number)]


def image(rng: random.Random) -> Image:
    boxes = [[rng.uniform(0, 80), rng.uniform(0, 80), rng.uniform(5, 20), 15.0] for _ in range(rng.randint(0, 5))]
    labels = [rng.choice([1, 1, 1, 2, 2, 3]) for _ in boxes]
    near = [
        ([v + rng.gauss(0, 1) for v in box], label) for box, label in zip(boxes, labels, strict=True) for _ in range(2)
    ]
    far = [([rng.uniform(0, 80), rng.uniform(0, 80), 10.0, 10.0], rng.randint(1, 4)) for _ in range(4)]
    found, numbers = zip(*near, *far, strict=True)
    scores = [round(rng.random(), 1) for _ in numbers]
    return Image(100, 100, Objects(boxes, labels), Objects(list(found), list(numbers), scores))


def ap(precision: AveragePrecision, weights: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    return resampled_precision(precision.coco, weights)


@pytest.mark.parametrize("seed", range(5))
def test_ap_without_resampling_is_that_of_faster_coco_eval(seed: int) -> None:
    measured = images(40, seed)
    precision = average_precision(measured, LABELS)
    own = dict(zip(LABELS, ap(precision, np.ones((1, 40), np.float32)), strict=True))
    for label, metrics in precision.per_class.items():
        assert own[label][0].mean() == pytest.approx(metrics["AP"], abs=1e-12)
        assert own[label][0, 0] == pytest.approx(metrics["AP50"], abs=1e-12)
    assert np.isnan(own["never there"]).all()


def test_ap_of_a_resample_is_that_of_the_images_it_draws() -> None:
    measured = images(20, 0)
    weights = np.array([[1, 0] * 10, [0, 1] * 10], np.float32)
    half = average_precision(measured[::2], LABELS)
    own = [values[0] for values in ap(average_precision(measured, LABELS), weights)]
    assert np.nanmean([values.mean() for values in own]) == pytest.approx(half.map, abs=1e-12)
    assert np.nanmean([values[0] for values in own]) == pytest.approx(half.map50, abs=1e-12)


def test_predictions_beyond_coco_s_limit_count_too() -> None:
    right = Objects([[0.0, 0.0, 10.0, 10.0]], [1])
    many = Objects([[50.0, 50.0, 10.0, 10.0]] * 100 + [[0.0, 0.0, 10.0, 10.0]], [1] * 101, [0.9] * 100 + [0.5])
    precision = average_precision([Image(100, 100, right, many)], LABELS)
    assert precision.map == pytest.approx(1 / 101)
    assert precision.map == pytest.approx(ap(precision, np.ones((1, 1), np.float32))[0].mean())


def test_scenes_are_drawn_whole() -> None:
    weights = resample(["a", "b", "b", "c", "b"])
    assert weights.shape == (RESAMPLES, 5)
    assert (weights[:, 1] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()
    assert (weights == resample(["a", "b", "b", "c", "b"])).all()


def test_perfect_and_useless_models_have_the_rule_of_three() -> None:
    assert interval(np.ones(RESAMPLES), 1.0, 30) == Interval(0.9, 1.0)
    assert interval(np.zeros(RESAMPLES), 0.0, 30) == Interval(0.0, 0.1)
    assert interval(np.ones(RESAMPLES), 1.0, 2) == Interval(0.0, 1.0)


def test_interval_is_around_the_measured_value() -> None:
    biased = np.linspace(0.5, 0.7, RESAMPLES)
    assert interval(biased, 0.5, 50) == pytest.approx((0.405, 0.595))
    assert interval(biased, 0.95, 50).high == 1


def test_metric_that_no_resample_has_is_unknown() -> None:
    assert interval(np.full(RESAMPLES, np.nan), 0.5, 1) == Interval(0.0, 1.0)


def test_about_19_of_20_intervals_hold_the_true_accuracy() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        correct = rng.random(60) < 0.8
        values = resample(range(60)) @ correct / 60
        low, high = interval(values, correct.mean(), 60)
        held += low <= 0.8 <= high
    assert 88 <= held <= 99


def test_images_of_one_scene_widen_the_interval() -> None:
    correct = np.array([True] * 40 + [False] * 10)
    single = interval(resample(range(50)) @ correct / 50, 0.8, 50)
    weights = resample([n // 10 for n in range(50)])
    scenes = interval(weights @ correct / 50, 0.8, 5)
    assert scenes.high - scenes.low > 1.5 * (single.high - single.low)


def test_ratios_without_resampling_are_those_of_the_confusion_matrix() -> None:
    examples = [example(one) for one in images(30, 3)]
    measured = class_metrics(confusion_matrix(LABELS, examples), LABELS)
    ratios = resampled_ratios(examples, np.ones((1, 30), np.float32), LABELS)
    for label in LABELS[:3]:
        for name in ("recall", "precision"):
            assert ratios[label][name][0] == pytest.approx(measured[label][name])


def example(image: Image) -> Example:
    return matching.example(Path("1.png"), "1.png", objects(image.truth), objects(image.predictions))


def objects(found: Objects) -> list[Prediction]:
    return [
        Prediction(LABELS[label - 1], score, Box(box[0], box[1], box[2], box[3], LABELS[label - 1]))
        for box, label, score in zip(found.boxes, found.labels, found.scores or [1.0] * len(found.labels), strict=True)
    ]


def test_detector_has_an_interval_for_each_metric() -> None:
    measured = images(30, 3)
    found = detector(measured, list(range(30)))
    assert found.metrics.keys() == {"mAP50", "mAP"}
    assert found.per_class.keys() == {"cat", "dog", "rare"}
    assert found.per_class["rare"].keys() == {"AP", "AP50", "recall", "precision"}
    precision = average_precision(measured, LABELS)
    assert found.metrics["mAP50"].low < precision.map50 < found.metrics["mAP50"].high
    narrow, wide = found.per_class["cat"]["recall"], found.per_class["rare"]["recall"]
    assert narrow.high - narrow.low < wide.high - wide.low


def test_detector_that_finds_nothing_may_still_find_something() -> None:
    blind = [Image(100, 100, one.truth, Objects([], [])) for one in images(30, 3)]
    assert detector(blind, list(range(30))).metrics["mAP50"] == Interval(0.0, 0.1)


def test_single_scene_says_nothing_about_others() -> None:
    assert detector(images(5, 0), [1] * 5).metrics == {}


def detector(measured: Sequence[Image], scenes: list[int]) -> Intervals:
    precision = average_precision(measured, LABELS)
    examples = [example(one) for one in measured]
    per_class = class_metrics(confusion_matrix(LABELS, examples), LABELS)
    per_class = {label: precision.per_class.get(label, {}) | per_class[label] for label in LABELS}
    evaluation = Evaluation({"mAP50": precision.map50, "mAP": precision.map}, per_class)
    return detector_intervals(evaluation, examples, scenes, LABELS, precision)


def test_classifier_s_crops_of_one_image_are_one_scene() -> None:
    rng = np.random.default_rng(0)
    truth = [int(number) for number in rng.integers(0, 2, 60)]
    scores = np.eye(2)[[label if rng.random() < 0.8 else 1 - label for label in truth]]

    def accuracy(crops: int) -> Interval:
        shown = [Shown(Path(str(number // crops)), str(number)) for number in range(60)]
        evaluation = evaluate_classes(truth, scores, ["cat", "dog"], shown).with_intervals()
        assert evaluation.intervals.per_class["cat"].keys() == {"recall", "precision", "f1"}
        assert evaluation.compute_intervals is None
        return evaluation.intervals.metrics["accuracy"]

    alone, together = accuracy(1), accuracy(20)
    assert alone.low < 0.8 < alone.high
    assert alone != together
