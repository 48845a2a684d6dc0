"""From what a plugin left in its folder to a model in its place, described; or what a plugin put there by itself."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from vott_trainer import report
from vott_trainer.errors import UploadRefusedError
from vott_trainer.http.printable import printable
from vott_trainer.parameters import shown
from vott_trainer.plugin_api import Trained
from vott_trainer.settings import TrainSettings
from vott_trainer.stores.destination import ARCHIVE_NAME, MANIFEST_NAME, Destination
from vott_trainer.stores.store import StoredObject
from vott_trainer.training_run import TrainingRun
from vott_trainer.version import VERSION

log = logging.getLogger(__name__)

SEE_LOG = (
    "See its output in the pod's log; a plugin that shall leave the upload to the trainer has to define a class Plugin "
    "(docs/plugins.md#scripts)."
)


def deliver(
    settings: TrainSettings,
    parameters: BaseModel,
    run: TrainingRun,
    trained: Trained,
    model: Destination,
    work_dir: Path,
) -> StoredObject:
    """Write what every model holds beside the plugin's own files, and upload all of it.

    Raises:
        UploadRefusedError: the store refused it.
        TemporaryFailureError: the store can't be reached.
    """
    asked = shown(parameters)
    _write_config(run.model_dir / "config.json", {"plugin": settings.plugin, "parameters": asked, **trained.config})
    _describe(settings, asked, run, trained)
    run.progress.uploading(trained.metrics)
    return model.deliver(run.model_dir, work_dir)


def seen(model: Destination) -> str | None:
    """Return the version of what lies there before a plugin puts its model there by itself, None where nothing does.

    This refuses, before hours of training, a link through which nobody could see that the plugin did.

    Raises:
        UploadRefusedError: the link does not permit reading.
    """
    log.info("this plugin uploads its model by itself: it has to be at %s", model.url)
    try:
        return model.version()
    except UploadRefusedError as error:
        raise UploadRefusedError(
            f"This plugin uploads its model by itself, and {model.url} does not permit to see whether it did. Make a new link "
            "with read and write permission and send the message again."
        ) from error


def found(model: Destination, work_dir: Path, before: str | None) -> StoredObject:
    """Return what a plugin that uploads by itself has left.

    Raises:
        UploadRefusedError: nothing lies there, or what `seen` saw before.
    """
    if before and before == model.version():
        raise UploadRefusedError(
            f"The plugin ended well, but left the model at {model.url} as it was before. {SEE_LOG}"
        )
    if left := model.find(work_dir):
        return left
    raise UploadRefusedError(
        f"The plugin ended well, but left no model at {model.url}. A container or bucket has to hold {ARCHIVE_NAME}, a URL that ends in a "
        f"slash {MANIFEST_NAME}, any other URL the model itself. {SEE_LOG}"
    )


def _describe(settings: TrainSettings, parameters: dict[str, Any], run: TrainingRun, trained: Trained) -> None:
    """Hours of training must not be lost for a fault in what tells of them; whoever gets the model is told of that."""
    try:
        result = _result(settings, parameters, run, trained)
    except Exception as error:  # the plugin says whatever it likes of itself
        run.note(report.not_written("What the plugin tells of this training", error))
        result = _result(settings, parameters, run, replace(trained, details={}))
    report.write(run.model_dir, result)


def _result(settings: TrainSettings, parameters: dict[str, Any], run: TrainingRun, trained: Trained) -> report.Result:
    details = dict(trained.details)
    return report.Result(
        plugin=settings.plugin,
        metrics=trained.metrics,
        parameters=parameters,
        settings=details.pop("settings", {}),
        device=details.pop("device", ""),
        labels=trained.config.get("labels", []),
        counts=details.pop("counts", {}),
        history=trained.history,
        evaluation=trained.evaluation,
        findings=run.findings,
        seconds=run.seconds | details.pop("seconds", {}),
        notes=run.notes,
        details=details,
        trainer_version=VERSION,
        trainingjob=settings.trainingjob,
    )


def _write_config(path: Path, config: dict[str, Any]) -> None:
    """Write what `predict` reads. Labels stay as they are: the network's classes are known by them."""
    fit = {name: value if name == "labels" else printable(value) for name, value in config.items()}
    path.write_text(json.dumps(fit, indent=2, default=_plain) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Return what JSON does not know as a number, where it is one of numpy or torch, else as text."""
    return value.item() if getattr(value, "ndim", None) == 0 else str(value)
