"""What a training leaves for people and other programs beside its weights (docs/results.md)."""

import contextlib
import errno
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from vott_trainer.http.urls import redact
from vott_trainer.report.card import write_card
from vott_trainer.report.metrics_file import write_metrics
from vott_trainer.report.page import write_page
from vott_trainer.report.pictures import write_sample
from vott_trainer.report.result import Result
from vott_trainer.report.tensorboard import write_events

__all__ = ["Result", "not_written", "write"]

log = logging.getLogger(__name__)

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

Part = Callable[[Path, Result], None]


def write(folder: Path, result: Result) -> None:
    """Write `metrics.json`, `README.md`, `sample.jpg`, TensorBoard's event files and `report.html` into the model's folder.

    A fault in one of them costs that one alone, and the others tell of it.

    Raises:
        OSError: the disk is full; nor would the model fit then.
    """
    telling: dict[str, Part] = {"metrics.json": write_metrics, "README.md": write_card}
    page: dict[str, Part] = {"report.html": write_page}  # last: it names the files beside it
    failed = _written(folder, result, {"tensorboard": write_events, "sample.jpg": _write_sample, **telling, **page})
    if failed:
        told = replace(result, notes=[*result.notes, *failed.values()])
        _written(folder, told, {name: part for name, part in (telling | page).items() if name not in failed})


def not_written(what: str, error: Exception) -> str:
    """Log a fault and return the sentence for the report. A full disk is raised again."""
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        raise error
    log.error("%s could not be written; the model goes out without it", what, exc_info=error)
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return f"{what} could not be written, and is missing ({redact(reason)})."


def _written(folder: Path, result: Result, parts: Mapping[str, Part]) -> dict[str, str]:
    """Write each part; return a sentence for each one that failed, of which nothing is left."""
    failed = {}
    for name, part in parts.items():
        try:
            part(folder / name, result)
        except Exception as error:
            _remove(folder / name)
            failed[name] = not_written(name, error)
    return failed


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _write_sample(path: Path, result: Result) -> None:
    write_sample(path, result.evaluation.examples if result.evaluation else [])
