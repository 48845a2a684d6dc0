"""The report's sentences about a model: heading, summary and caveat."""

from vott_trainer.plugin_api import Evaluation, Interval
from vott_trainer.report.confusion_table import Totals
from vott_trainer.report.formatting import count, percent_range
from vott_trainer.report.result import Result

BOXES_BESIDE = "boxMAP50"  # a metric of models that are measured by masks
FEW_MEASURED = 30  # objects; with fewer, a single object shifts the metrics by several percent
WIDE = 0.15  # of an interval: the metric may be a grade better or worse


def heading(result: Result) -> str:
    """Name the plugin and its architecture."""
    architecture = result.settings.get("architecture") or result.parameters.get("architecture")
    return f"{result.plugin}, {architecture}" if architecture else result.plugin


def summary(result: Result) -> str:
    """Say in a sentence how good the model is."""
    evaluation = result.evaluation
    if not evaluation:
        return "This plugin does not measure its models on held-out images."
    return f"{_measured(evaluation, _images(result, evaluation))}{_expected(evaluation)}"


def _images(result: Result, evaluation: Evaluation) -> str:
    if evaluation.folds:
        measured = sum(fold.items for fold in evaluation.folds)
        return f"{count(measured, 'image')}, each held out in one of {len(evaluation.folds)} folds"
    number = result.counts.get("heldOutImages")
    return f"{count(number, 'image')} it had never seen" if number else "images it had never seen"


def _measured(evaluation: Evaluation, images: str) -> str:
    if not evaluation.confusion:
        return f"The model was measured on {images}."
    totals = Totals.of(evaluation.confusion)
    if not evaluation.confusion.with_background:
        return f"On {images}, the model classified {totals.correct} of {totals.truth} correctly."
    return f"On {images}, the model found {totals.correct} of {count(totals.truth, 'object')}{_wrong(totals, _noun(evaluation))}."


def _expected(evaluation: Evaluation) -> str:
    """Say what the primary metric would be on other images."""
    name, interval = primary_interval(evaluation)
    return f" On others like these, expect {name} between {percent_range(*interval, 'and')}." if interval else ""


def primary_interval(evaluation: Evaluation) -> tuple[str, Interval | None]:
    """Return the name of the primary metric and its interval, None if it is unknown."""
    name = next(iter(evaluation.metrics), "")
    return name, evaluation.intervals.metrics.get(name)


def _noun(evaluation: Evaluation) -> tuple[str, str]:
    """Return what the model predicts, singular and plural."""
    return ("mask", "masks") if BOXES_BESIDE in evaluation.metrics else ("box", "boxes")


def _wrong(totals: Totals, noun: tuple[str, str]) -> str:
    predicted = count(totals.predicted, *noun)
    duplicates = f"{totals.duplicates} {_were(totals.duplicates, 'a duplicate', 'duplicates')}"
    if totals.wrong:
        wrong = f"; {totals.wrong} of its {predicted} {_were(totals.wrong, 'wrong', 'wrong')}"
        return f"{wrong}, and {duplicates}" if totals.duplicates else wrong
    return (
        f"; none of its {predicted} was wrong, but {duplicates}" if totals.duplicates else f", with no wrong {noun[1]}"
    )


def _were(number: int, singular: str, plural: str) -> str:
    return f"was {singular}" if number == 1 else f"were {plural}"


def caveat(evaluation: Evaluation) -> str:
    """Warn if the primary metric is uncertain, or the model was measured on few objects, else ""."""
    measured = Totals.of(evaluation.confusion).truth if evaluation.confusion else 0
    _, interval = primary_interval(evaluation)
    is_wide = interval is not None and interval.high - interval.low > WIDE
    if not is_wide and (not evaluation.confusion or measured >= FEW_MEASURED):
        return ""
    examples = f" on only {count(measured, 'example')}" if evaluation.confusion else " on few images"
    return (
        f"These numbers are rough: they rest{examples}. More annotated images improve both the numbers and the model."
    )


def measures_boxes(evaluation: Evaluation | None) -> bool:
    """Whether the evaluation is a detector's."""
    return bool(evaluation and evaluation.confusion and evaluation.confusion.with_background)
