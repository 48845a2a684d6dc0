"""What the report says in words: how good the model is, what is wrong on a picture, and what would make it better."""

import dataclasses

import pytest

from tests.unit.trainer.results import box
from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Confusion, Evaluation, Prediction
from vott_trainer.report import Result, wording
from vott_trainer.report.advice import advice
from vott_trainer.report.pictures import _mark, sentence
from vott_trainer.vision import matching


def test_confused_classes_are_named_with_what_to_do() -> None:
    confusion = Confusion(["cat", "dog", "background"], [[6, 4, 0], [0, 9, 1], [0, 2, 0]], with_background=True)
    told = advice(result(confusion))
    assert told[0].startswith("“cat” is taken for “dog” (4 times).")
    assert told[1].startswith("“cat” is found too seldom: 6 of 10.")
    assert len(told) == 2


def test_class_with_few_examples_or_none_to_measure_is_named() -> None:
    confusion = Confusion(["cat", "dog", "background"], [[0, 0, 0], [0, 9, 0], [0, 0, 0]], with_background=True)
    told = advice(dataclasses.replace(result(confusion), counts={"boxes": {"cat": 1, "dog": 60}}))
    assert told[0].startswith("“cat” is on none of the images that measured the model")
    assert told[1].startswith("“cat” has only 1 example.")


@pytest.mark.parametrize(("last", "advised"), [(0.8, True), (0.51, False)])
def test_longer_training_is_advised_where_the_model_was_still_getting_better(last: float, advised: bool) -> None:
    rows = [{"epoch": number, "mAP50": value} for number, value in enumerate((0.1, 0.3, 0.5, 0.5, last))]
    given = dataclasses.replace(result(None), metrics={"mAP50": last}, history=rows)
    assert any("train it longer" in sentence for sentence in advice(given)) is advised


def test_figures_that_rest_on_few_objects_are_said_to_be_rough() -> None:
    few = Confusion(["cat"], [[9]])
    assert wording.caveat(Evaluation({"accuracy": 1.0}, confusion=few)).startswith("Only 9 examples measured this")
    assert wording.caveat(Evaluation({"accuracy": 1.0}, confusion=Confusion(["cat"], [[90]]))) == ""


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"mAP50": 0.93}, "Very good"),
        ({"mAP50": 0.2}, "Not good yet"),
        ({"accuracy": 0.9}, "Good"),
        ({"bleu": 0.5}, ""),
    ],
)
def test_quality_is_said_in_words_where_the_metric_is_known(metrics: dict[str, float], said: str) -> None:
    assert wording.grade(Evaluation(metrics)) == said


def test_mistakes_are_said_before_what_is_right_and_many_are_counted() -> None:
    one = {name: Prediction(name, 0.9) for name in "abcdefg"}
    assert sentence([(one["a"], one["a"]), (one["b"], None), (one["b"], None)]) == "2 times b missed; a found"
    missed = [(one[name], None) for name in "abcde"]
    right = [(one[name], one[name]) for name in "abcd"]
    assert sentence([*right, *missed]) == "a missed; b missed; c missed; 2 other mistakes; 4 found"
    assert sentence([]) == "nothing is there, and the model sees nothing"


def test_text_of_a_box_at_the_right_edge_stays_in_the_picture() -> None:
    seen = Prediction("a long name", 0.9, Box(560, 100, 70, 70, "a long name"))
    mark = _mark((None, seen), [], 1.0, 640, 24)
    assert mark
    assert (mark.anchor, mark.text_x) == ("end", 630)


def test_unpaired_boxes_are_told_apart_by_what_they_mean() -> None:
    there = [box(0), box(20)]
    found = matching.pairs(there, [box(0, 0.9), box(3, 0.8), box(25, 0.7), box(60, 0.6)])
    assert sentence(found) == (
        "cat marked twice; cat marked by a box that fits badly; cat seen where none is annotated; "
        "1 other mistake; cat found"
    )


def result(confusion: Confusion | None) -> Result:
    per_class = matching.per_class(confusion, ["cat", "dog"]) if confusion else {}
    return Result("detection", {"mAP50": 0.5}, evaluation=Evaluation({"mAP50": 0.5}, per_class, confusion=confusion))
