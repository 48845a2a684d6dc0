"""The report's sentences: grade, summary, advice, and the mistakes in a picture."""

import dataclasses

import pytest

from tests.support.training_results import box
from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Confusion, Evaluation, Interval, Intervals, Prediction
from vott_trainer.plugin_api.evaluation import Found, SmallObjects
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


def test_longer_training_is_advised_against_if_a_weak_model_stopped_improving() -> None:
    rows = [{"epoch": number, "mAP50": value} for number, value in enumerate((0.1, 0.3, 0.4, 0.4, 0.4))]
    weak = dataclasses.replace(result(None), metrics={"mAP50": 0.4}, history=rows)
    assert any("longer training won't help" in sentence for sentence in advice(weak))
    assert weak.evaluation
    unknown = dataclasses.replace(weak.evaluation, intervals=Intervals({"mAP50": Interval(0.2, 0.9)}))
    assert advice(dataclasses.replace(weak, evaluation=unknown)) == []


def trained_for(values: tuple[float, ...], **settings: int) -> Result:
    rows = [{"epoch": number, "mAP50": value} for number, value in enumerate(values)]
    return dataclasses.replace(result(None), metrics={"mAP50": 0.4}, history=rows, settings=settings)


def test_training_that_its_budget_ended_is_not_said_to_be_long_enough() -> None:
    """Its learning rate has fallen in time, so the end of its curve is flat, whatever a longer training would give."""
    assert advice(trained_for((0.1, 0.3, 0.4, 0.4, 0.4), epochs=20, earlyStopping=10)) == []
    (stopped,) = advice(trained_for((0.1, 0.4, 0.4, 0.4, 0.4), epochs=20, earlyStopping=3))
    assert "longer training won't help" in stopped


def test_model_that_got_nothing_right_needs_longer_training() -> None:
    (sentence,) = advice(trained_for((0.0, 0.0, 0.0, 0.0, 0.0), epochs=20, earlyStopping=3))
    assert sentence.startswith(
        "The model got nothing right on the held-out images. Train longer (parameter budgetMinutes)"
    )


def test_training_that_stopped_early_because_of_its_quality_is_not_to_be_longer() -> None:
    twice = Confusion(["cat", "background"], [[9, 0], [0, 0]], with_background=True, repeated=[4])
    stopped = dataclasses.replace(
        trained_for((0.1, 0.9, 0.8, 0.8, 0.8), epochs=20, earlyStopping=3),
        evaluation=Evaluation({"mAP50": 0.9}, confusion=twice),
    )
    (sentence,) = advice(stopped)
    assert sentence.endswith("Predict with a higher score threshold (--score).")


def test_many_weak_classes_do_not_hide_other_advice() -> None:
    labels = [f"class {number}" for number in range(9)]
    per_class = {label: {"recall": 0.1, "count": 50.0} for label in labels}
    weak = dataclasses.replace(
        trained_for((0.1, 0.2, 0.2, 0.2, 0.4)),
        evaluation=Evaluation({"mAP50": 0.4}, per_class),
        counts={"boxes": {"class 1": 3}},
    )
    first, *others = advice(weak)
    assert first.startswith("The model was still improving")
    assert [sentence.partition("”")[2][:17] for sentence in others] == [" is often missed:"] * 2 + [" has only 3 examp"]


def test_advice_follows_the_metric_that_decides_which_model_is_better() -> None:
    rows = [{"epoch": n, "mAP50": 0.5, "mAP": value} for n, value in enumerate((0.1, 0.2, 0.2, 0.2, 0.4))]
    both = Evaluation({"mAP50": 0.5, "mAP": 0.4}, selection="mAP")
    improving = dataclasses.replace(result(None), evaluation=both, metrics=both.metrics, history=rows)
    assert any("Train longer" in sentence for sentence in advice(improving))


def test_class_that_may_be_missed_by_chance_gets_no_advice() -> None:
    confusion = Confusion(["cat", "dog", "background"], [[1, 0, 1], [0, 9, 1], [0, 0, 0]], with_background=True)
    few = result(confusion)
    assert any("“cat” is often missed" in sentence for sentence in advice(few))
    assert few.evaluation
    intervals = Intervals(per_class={"cat": {"recall": Interval(0.0, 1.0)}})
    measured = dataclasses.replace(few.evaluation, intervals=intervals)
    assert advice(dataclasses.replace(few, evaluation=measured)) == []


@pytest.mark.parametrize(
    ("small", "larger", "advised"),
    [
        ((3, 10), (9, 10), True),
        ((3, 10), (0, 0), True),
        ((3, 9), (9, 10), False),
        ((8, 10), (10, 10), False),
        ((3, 10), (4, 10), False),
    ],
)
def test_larger_images_are_advised_if_small_objects_are_missed(
    small: tuple[int, int], larger: tuple[int, int], advised: bool
) -> None:
    sizes = SmallObjects(16, Found(*small), Found(*larger))
    sentences = advice(dataclasses.replace(result(None), evaluation=Evaluation({"mAP50": 0.5}, small_objects=sizes)))
    assert (sentences != []) is advised
    assert not advised or sentences[0].startswith("Small objects are often missed: 3 of 10 of less than 16 pixels")


def test_few_measured_objects_give_a_caveat() -> None:
    few = Confusion(["cat"], [[9]])
    caveat = wording.caveat(Evaluation({"accuracy": 1.0}, confusion=few))
    assert caveat.startswith("These numbers are rough: they rest on only 9 examples.")
    assert wording.caveat(Evaluation({"accuracy": 1.0}, confusion=Confusion(["cat"], [[90]]))) == ""


@pytest.mark.parametrize(("low", "rough"), [(0.6, True), (0.8, False)])
def test_wide_interval_gives_a_caveat(low: float, rough: bool) -> None:
    many = Confusion(["cat"], [[90]])
    evaluation = Evaluation({"accuracy": 0.85}, confusion=many, intervals=Intervals({"accuracy": Interval(low, 0.9)}))
    assert (wording.caveat(evaluation) != "") is rough


def test_summary_says_what_to_expect_on_other_images() -> None:
    interval = Intervals({"accuracy": Interval(0.784, 0.91)})
    evaluation = Evaluation({"accuracy": 0.85}, confusion=Confusion(["cat"], [[85]]), intervals=interval)
    text = wording.summary(Result("classification", evaluation.metrics, evaluation=evaluation))
    assert text.endswith("On others like these, expect accuracy between 78 and 91 %.")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.91, 0.97, "Very good"),
        (0.78, 0.91, "Good to very good"),
        (0.3, 0.6, "Not good yet to usable with care"),
        (0.6, 0.95, "Measured on too few images to say how good"),
    ],
)
def test_grade_has_both_ends_of_the_interval(low: float, high: float, expected: str) -> None:
    assert grade(Evaluation({"mAP50": 0.5}, intervals=Intervals({"mAP50": Interval(low, high)}))) == expected


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
