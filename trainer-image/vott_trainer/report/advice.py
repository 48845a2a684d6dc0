"""What would make a model better, in sentences."""

from collections.abc import Iterator

from vott_trainer.plugin_api import Evaluation
from vott_trainer.report.result import Result
from vott_trainer.report.wording import Tally, confusions, count, is_tally

FEW_EXAMPLES = 20  # of a class
OFTEN_MISSED = 0.7  # recall below it
OFTEN_REPEATED = 0.1  # of the boxes
LIMIT = 6  # sentences


def advice(result: Result) -> list[str]:
    """Return what to do for a better model, most worthwhile first; empty where nothing stands out."""
    if not result.evaluation:
        return []
    found = [
        *_confused(result.evaluation),
        *_missed(result.evaluation),
        *_repeated(result.evaluation),
        *_unfinished(result),
        *_rare(result),
    ]
    return found[:LIMIT]


def _confused(evaluation: Evaluation) -> Iterator[str]:
    for times, truth, seen in confusions(evaluation.confusion):
        if times >= 2 and times >= 0.1 * evaluation.per_class.get(truth, {}).get("count", 0):
            yield f"“{truth}” is taken for “{seen}” ({times} times). Check that both are annotated by the same rule, and annotate more of both."


def _missed(evaluation: Evaluation) -> Iterator[str]:
    for label, figures in sorted(evaluation.per_class.items(), key=lambda entry: entry[1].get("recall", 1.0)):
        total = int(figures.get("count", 0))
        if total and figures.get("recall", 1.0) < OFTEN_MISSED:
            yield f"“{label}” is found too seldom: {round(figures['recall'] * total)} of {total}. Annotate more images with it."
        elif not total:
            yield f"“{label}” is on none of the images that measured the model, so nothing is known about it. Annotate more images with it."


def _repeated(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.confusion:
        return
    tally = Tally.of(evaluation.confusion)
    if tally.repeated >= 2 and tally.repeated >= OFTEN_REPEATED * tally.seen:
        yield (
            f"{tally.repeated} of the {tally.seen} boxes mark an object a second time. Train longer (parameter epochs), or count "
            "predictions only from a higher score on: see the best score of each class."
        )


def _rare(result: Result) -> Iterator[str]:
    amounts = [amount for amount in result.counts.values() if is_tally(amount)]
    for label, number in sorted((entry for amount in amounts for entry in amount.items()), key=lambda entry: entry[1]):
        if number < FEW_EXAMPLES:
            yield f"“{label}” has only {count(number, 'example')}. {FEW_EXAMPLES} or more are a good start."


def _unfinished(result: Result) -> Iterator[str]:
    """A model whose last measurement is clearly its best one would have gone on learning."""
    name = next(iter(result.metrics), "")
    values = [row[name] for row in result.history if isinstance(row.get(name), int | float)]
    if len(values) >= 4 and values[-1] == max(values) and values[-1] - max(values[: -len(values) // 4]) > 0.03:
        yield "The model was still getting better when the training ended: train it longer (parameter epochs)."
