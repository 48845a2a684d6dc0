"""Matching of predictions to objects: correct, wrong, missed and duplicate ones, and what they count in the confusion matrix."""

import random
import time
from pathlib import Path

import pytest

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Example, Prediction
from vott_trainer.plugin_api.evaluation import choose_examples
from vott_trainer.report.pictures import sentence
from vott_trainer.vision import matching
from vott_trainer.vision.confusion_matrix import class_metrics, confusion_matrix


def prediction(label: str, x: float, side: float, score: float = 1.0) -> Prediction:
    return Prediction(label, score, Box(x, 0, side, side, label))


def test_prediction_takes_an_object_of_its_own_class_before_a_nearer_one() -> None:
    circle, square = prediction("circle", 0, 10), prediction("square", 1, 10)
    predicted = prediction("circle", 1, 10, 0.9)
    assert matching.match([square, circle], [predicted]) == [(circle, predicted), (square, None)]


def test_object_is_found_once_by_the_prediction_with_the_highest_score() -> None:
    truth, better, worse = (
        prediction("circle", 0, 10),
        prediction("circle", 2, 10, 0.9),
        prediction("circle", 0, 10, 0.6),
    )
    assert matching.match([truth], [worse, better]) == [(truth, better), (None, worse)]


@pytest.mark.parametrize(
    ("second", "is_duplicate"),
    [
        (("circle", 5, 10), True),  # IoU 1/3
        (("circle", -8, 19), True),  # centre in the object
        (("circle", 8, 10), False),
        (("square", 2, 10), False),
    ],
)
def test_second_box_of_a_found_object_is_a_duplicate_and_not_wrong(
    second: tuple[str, float, float], is_duplicate: bool
) -> None:
    first, other = prediction("circle", 0, 10, 0.9), prediction(*second, score=0.6)
    example = matching.example(Path("a"), "a", [prediction("circle", 0, 10)], [first, other])
    assert (example.duplicates, example.wrong) == (([other], []) if is_duplicate else ([], [other]))
    assert not example.is_correct
    confusion = confusion_matrix(["circle", "square"], [example])
    assert sum(confusion.repeated) == is_duplicate
    assert sum(confusion.counts[-1]) == (not is_duplicate)
    assert confusion.counts[0][0] == 1


def tall(height: float, score: float = 1.0) -> Prediction:
    return Prediction("circle", score, Box(0, 0, 10, height, "circle"))


@pytest.mark.parametrize(("height", "is_match"), [(20, True), (20.1, False)])
def test_objects_match_from_an_iou_of_one_half(height: float, is_match: bool) -> None:
    (first, *_) = matching.match([tall(10)], [tall(height, 0.9)])
    assert (first[0] is not None) == is_match


@pytest.mark.parametrize(("height", "is_duplicate"), [(33, True), (34, False)])
def test_second_box_with_its_centre_outside_is_a_duplicate_from_an_iou_of_0_3(
    height: float, is_duplicate: bool
) -> None:
    second = tall(height, 0.6)
    example = matching.example(Path("a"), "a", [tall(10)], [tall(10, 0.9), second])
    assert (example.duplicates, example.wrong) == (([second], []) if is_duplicate else ([], [second]))


def test_duplicate_lowers_precision_as_a_wrong_prediction_does() -> None:
    twice = [prediction("circle", 0, 10, 0.9), prediction("circle", 2, 10, 0.6)]
    confusion = confusion_matrix(["circle"], [matching.example(Path("a"), "a", [prediction("circle", 0, 10)], twice)])
    assert class_metrics(confusion, ["circle"])["circle"]["precision"] == 0.5


def test_loose_box_around_a_missed_object_is_wrong_and_no_duplicate() -> None:
    loose = prediction("circle", 5, 10, 0.9)
    example = matching.example(Path("a"), "a", [prediction("circle", 0, 10)], [loose])
    assert (example.duplicates, example.wrong, len(example.missed)) == ([], [loose], 1)


def test_worst_examples_come_first_then_the_correct_ones_with_most_objects() -> None:
    correct = [
        matching.example(Path("a"), "correct, one object", [prediction("a", 0, 9)], [prediction("a", 0, 9, 0.9)])
    ]
    two = [prediction("a", 0, 9), prediction("a", 20, 9)]
    correct += [matching.example(Path("b"), "correct, two objects", two, two)]
    wrong = [Example(Path("c"), "confident", [], [], wrong=[prediction("a", 0, 9, 0.9)])]
    wrong += [Example(Path("d"), "worst", [], [], missed=two)]
    names = [example.name for example in choose_examples([*correct, *wrong])]
    assert names == ["worst", "confident", "correct, two objects", "correct, one object"]
    assert len(choose_examples([*correct, *wrong], count=1)) == 2


def test_images_with_thousands_of_objects_are_matched_in_seconds() -> None:
    rng = random.Random(0)
    truth = [Prediction("a", 1.0, Box(rng.uniform(0, 4000), rng.uniform(0, 3000), 40, 40, "a")) for _ in range(2000)]
    found = [
        Prediction("a", rng.uniform(0.3, 1), Box(one.box.x + rng.uniform(-20, 20), one.box.y, 40, 40, "a"))
        for one in truth
        if one.box
    ]
    start = time.process_time()
    example = matching.example(Path("a"), "a", truth, found)
    confusion = confusion_matrix(["a"], [example])
    assert "badly fitting box on a" in sentence(matching.match(truth, found))
    assert time.process_time() - start < 5, "minutes, if each prediction is compared with each object by itself"
    assert confusion.counts[0][0] + len(example.missed) == len(truth)
    assert confusion.counts[0][0] + len(example.wrong) + len(example.duplicates) == len(found)
