"""Advice on how to improve the model, and when to give it."""

import itertools
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
BUDGET, EARLY_STOPPING = "budgetMinutes", "earlyStopping"
MOST_OF_A_KIND = 2  # sentences


def advice(result: Result) -> list[str]:
    """List what would improve the model, the most effective first; empty if nothing stands out.

    A few sentences of each kind, so that a hundred confused classes do not hide that the training was too short.
    """
    if not result.evaluation:
        return []
    kinds = (
        _longer(result),
        _confused(result.evaluation),
        _missed(result.evaluation),
        _small(result.evaluation),
        _duplicates(result),
        _rare(result),
    )
    return [sentence for kind in kinds for sentence in itertools.islice(kind, MOST_OF_A_KIND)]


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
    if not (sizes := evaluation.small_objects) or sizes.small.total < FEW_SMALL:
        return
    recall, larger = (found / max(1, total) for found, total in (sizes.small, sizes.larger))
    are_harder = not sizes.larger.total or larger - recall > MISSED_MORE
    others = f", and {sizes.larger.found} of {sizes.larger.total} larger ones" if sizes.larger.total else ""
    if recall < OFTEN_MISSED and are_harder:
        yield (
            f"Small objects are often missed: {sizes.small.found} of {sizes.small.total} of less than {sizes.pixels} pixels, as the network "
            f"sees them, were found{others}. Train with larger images (parameter imageSize)."
        )


def _duplicates(result: Result) -> Iterator[str]:
    if not (result.evaluation and result.evaluation.confusion):
        return
    totals = Totals.of(result.evaluation.confusion)
    if totals.duplicates >= 2 and totals.duplicates >= OFTEN_DUPLICATE * totals.predicted:
        ended_by = _ended_by(result)
        longer = "" if ended_by == EARLY_STOPPING else f"Train longer (parameter {ended_by}), or predict"
        yield (
            f"{totals.duplicates} of {totals.predicted} boxes are duplicates of another box on the same object. "
            f"{longer or 'Predict'} with a higher score threshold (--score)."
        )


def _rare(result: Result) -> Iterator[str]:
    per_class = [counts for counts in result.counts.values() if is_per_class(counts)]
    for label, number in sorted(
        (entry for counts in per_class for entry in counts.items()), key=lambda entry: entry[1]
    ):
        if number < FEW_EXAMPLES:
            yield f"“{label}” has only {count(number, 'example')}. {FEW_EXAMPLES} or more are a good start."


def _values(result: Result) -> list[float]:
    """Return the measurements, one after the other, of the metric that decides which model is better."""
    name = result.evaluation.selected if result.evaluation else ""
    return [row[name] for row in result.history if isinstance(row.get(name), int | float)]


def _ended_by(result: Result) -> str:
    """Return the parameter that ended the training."""
    if len(result.history) >= (result.settings.get("epochs") or 0):
        return "epochs"
    values, patience = _values(result), result.settings.get("earlyStopping") or 0
    stopped = any(values) and 0 < patience < len(values) - values.index(max(values))
    return EARLY_STOPPING if stopped else BUDGET


def _longer(result: Result) -> Iterator[str]:
    """Say whether longer training would help: if the last evaluation is clearly the best, the model would have gone on improving."""
    values, ended_by = _values(result), _ended_by(result)
    if values and not any(values):
        yield (
            f"The model got nothing right on the held-out images. Train longer (parameter {ended_by}), and check that the annotations fit "
            "their images."
        )
    if len(values) < 4 or not any(values):
        return
    gain = max(values) - max(values[: -len(values) // 4])
    if gain > STILL_IMPROVING and values[-1] == max(values):
        yield f"The model was still improving when training ended. Train longer (parameter {ended_by})."
    elif gain < NO_GAIN and ended_by != BUDGET and result.evaluation and is_weak(result.evaluation):
        yield (
            "The model no longer improved at the end, so longer training won't help. Annotate more images, "
            "above all of scenes that differ from those you have."
        )
