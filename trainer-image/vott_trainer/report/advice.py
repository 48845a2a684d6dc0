"""Advice on how to improve the model, and when to give it."""

from collections.abc import Iterator

from vott_trainer.plugin_api import Evaluation
from vott_trainer.report.confusion_table import Totals, mistakes
from vott_trainer.report.formatting import count
from vott_trainer.report.grades import is_weak
from vott_trainer.report.result import Result
from vott_trainer.report.tables import is_per_class

FEW_EXAMPLES = 20  # of a class
OFTEN_CONFUSED = 0.1  # of a class's objects
OFTEN_MISSED = 0.7  # recall below this
OFTEN_FOUND = 0.9  # a recall whose interval reaches this may be low by chance
FEW_SMALL = 10  # small objects; fewer prove nothing
MISSED_MORE = 0.15  # recall below that of larger objects
OFTEN_DUPLICATE = 0.1  # of the boxes
STILL_IMPROVING = 0.03  # gain in the last quarter of the evaluations, of the metric that decides which model is better
NO_GAIN = 0.01
MOST = 6  # sentences


def advice(result: Result) -> list[str]:
    """List what would improve the model, the most effective first; empty if nothing stands out."""
    if not result.evaluation:
        return []
    found = [
        *_confused(result.evaluation),
        *_missed(result.evaluation),
        *_small(result.evaluation),
        *_duplicates(result),
        *_longer(result),
        *_rare(result),
    ]
    return found[:MOST]


def _confused(evaluation: Evaluation) -> Iterator[str]:
    for mistake in mistakes(evaluation.confusion):
        objects = evaluation.per_class.get(mistake.truth, {}).get("count", 0)
        if mistake.count >= 2 and mistake.count >= OFTEN_CONFUSED * objects:
            yield (
                f"“{mistake.truth}” is mistaken for “{mistake.predicted}” ({mistake.count} times). "
                "Check that both are annotated by the same rules, and annotate more of both."
            )


def _missed(evaluation: Evaluation) -> Iterator[str]:
    for label, metrics in sorted(evaluation.per_class.items(), key=lambda entry: entry[1].get("recall", 1.0)):
        total = int(metrics.get("count", 0))
        recall = evaluation.intervals.per_class.get(label, {}).get("recall")
        by_chance = recall is not None and recall.high > OFTEN_FOUND
        if total and metrics.get("recall", 1.0) < OFTEN_MISSED and not by_chance:
            found = round(metrics["recall"] * total)
            yield f"“{label}” is often missed: {found} of {total} found. Annotate more images with it."
        elif not total:
            yield f"“{label}” is in none of the held-out images, so it was not measured. Annotate more images with it."


def _small(evaluation: Evaluation) -> Iterator[str]:
    if not (sizes := evaluation.small_objects) or sizes.small.total < FEW_SMALL or not sizes.larger.total:
        return
    recall, larger = (found / total for found, total in (sizes.small, sizes.larger))
    if recall < OFTEN_MISSED and larger - recall > MISSED_MORE:
        yield (
            f"Small objects are often missed: {sizes.small.found} of {sizes.small.total} of less than {sizes.pixels} pixels, as the network "
            f"sees them, were found, and {sizes.larger.found} of {sizes.larger.total} larger ones. Train with larger images (parameter imageSize)."
        )


def _duplicates(result: Result) -> Iterator[str]:
    if not (result.evaluation and result.evaluation.confusion):
        return
    totals = Totals.of(result.evaluation.confusion)
    if totals.duplicates >= 2 and totals.duplicates >= OFTEN_DUPLICATE * totals.predicted:
        yield (
            f"{totals.duplicates} of {totals.predicted} boxes are duplicates of another box on the same object. Train longer "
            f"(parameter {_length(result)}), or predict with a higher score threshold (--score)."
        )


def _rare(result: Result) -> Iterator[str]:
    per_class = [counts for counts in result.counts.values() if is_per_class(counts)]
    for label, number in sorted(
        (entry for counts in per_class for entry in counts.items()), key=lambda entry: entry[1]
    ):
        if number < FEW_EXAMPLES:
            yield f"“{label}” has only {count(number, 'example')}. {FEW_EXAMPLES} or more are a good start."


def _length(result: Result) -> str:
    """Return the parameter that ended the training."""
    return "budgetMinutes" if len(result.history) < (result.settings.get("epochs") or 0) else "epochs"


def _longer(result: Result) -> Iterator[str]:
    """Say whether longer training would help: if the last evaluation is clearly the best, the model would have gone on improving."""
    name = result.evaluation.selected if result.evaluation else ""
    values = [row[name] for row in result.history if isinstance(row.get(name), int | float)]
    if len(values) < 4:
        return
    gain = max(values) - max(values[: -len(values) // 4])
    if gain > STILL_IMPROVING and values[-1] == max(values):
        yield f"The model was still improving when training ended. Train longer (parameter {_length(result)})."
    elif gain < NO_GAIN and result.evaluation and is_weak(result.evaluation):
        yield (
            "The model no longer improved at the end, so longer training won't help. Annotate more images, "
            "above all of scenes that differ from those you have."
        )
