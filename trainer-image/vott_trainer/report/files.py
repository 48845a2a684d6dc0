"""Write all files that describe a model; an error in one of them leaves out that one alone."""

import contextlib
import errno
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from vott_guard.redaction import redact
from vott_trainer.report.metrics_file import write_metrics
from vott_trainer.report.model_card import write_card
from vott_trainer.report.page import write_page
from vott_trainer.report.pictures import write_sample
from vott_trainer.report.result import Result
from vott_trainer.report.tensorboard import write_events

log = logging.getLogger(__name__)

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

Writer = Callable[[Path, Result], None]


def write(folder: Path, result: Result) -> None:
    """Write `metrics.json`, `README.md`, `sample.jpg`, TensorBoard's event files and `report.html` into the model's folder.

    If one of them fails, it is left out and the others mention it.

    Raises:
        OSError: the disk is full, so that the model would not fit either.
    """
    texts: dict[str, Writer] = {"metrics.json": write_metrics, "README.md": write_card}
    page: dict[str, Writer] = {"report.html": write_page}  # last: it lists the files beside it
    failed = _write_each(folder, result, {"tensorboard": write_events, "sample.jpg": _write_sample, **texts, **page})
    if failed:
        with_notes = replace(result, notes=[*result.notes, *failed.values()])
        rewritten = {name: writer for name, writer in (texts | page).items() if name not in failed}
        _write_each(folder, with_notes, rewritten)


def not_written(what: str, error: Exception) -> str:
    """Log an error and return the sentence for the report.

    Raises:
        OSError: `error` itself, if the disk is full.
    """
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        raise error
    log.error("%s could not be written; the model is delivered without it", what, exc_info=error)
    reason = redact(" ".join(f"{type(error).__name__}: {error}".split()))[:200]  # in this order: see first_line
    return f"{what} could not be written and is missing ({reason})."


def _write_each(folder: Path, result: Result, writers: Mapping[str, Writer]) -> dict[str, str]:
    """Write each file; remove those that failed and return a sentence for each."""
    failed = {}
    for name, writer in writers.items():
        try:
            writer(folder / name, result)
        except Exception as error:
            _remove(folder / name)
            failed[name] = not_written(name, error)
    return failed


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _write_sample(path: Path, result: Result) -> None:
    write_sample(path, result.evaluation.examples if result.evaluation else [])
