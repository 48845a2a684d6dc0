"""Deliver a trained model: write config.json and the report beside the plugin's files, and upload them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from vott_trainer import report
from vott_trainer.http.json_redaction import redact_json
from vott_trainer.parameters import shown
from vott_trainer.plugin_api import Trained
from vott_trainer.settings import TrainSettings
from vott_trainer.stores.destination import Destination
from vott_trainer.stores.store import StoredObject
from vott_trainer.training_run import TrainingRun
from vott_trainer.version import VERSION


def deliver(
    settings: TrainSettings,
    parameters: BaseModel,
    run: TrainingRun,
    trained: Trained,
    destination: Destination,
    work_dir: Path,
) -> StoredObject:
    """Write the files that every model has, and upload the model.

    Raises:
        UploadRefusedError: the store refused it.
        TemporaryFailureError: the store can't be reached.
    """
    shown_parameters = shown(parameters)
    thresholds = trained.evaluation.thresholds if trained.evaluation else {}
    config = {"plugin": settings.plugin, "parameters": shown_parameters, **trained.config}
    if thresholds:
        config.setdefault("thresholds", thresholds)
        _write_thresholds(run, thresholds)
    _write_config(run.model_dir / "config.json", config)
    _write_report(settings, shown_parameters, run, trained)
    run.progress.uploading(trained.metrics)
    return destination.deliver(run.model_dir, work_dir)


def _write_report(settings: TrainSettings, parameters: dict[str, Any], run: TrainingRun, trained: Trained) -> None:
    """Write the report. If the plugin's details are invalid, leave them out with a note: the model must not be lost."""
    try:
        result = _result(settings, parameters, run, trained)
    except Exception as error:  # details are any JSON
        run.note(report.not_written("The plugin's description of this training", error))
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
    """Write what `predict` reads, without URLs' queries. Labels stay unchanged: they identify the network's classes."""
    redacted = {name: value if name == "labels" else redact_json(value) for name, value in config.items()}
    path.write_text(json.dumps(redacted, indent=2, default=_to_json) + "\n", encoding="utf-8")


def _write_thresholds(run: TrainingRun, thresholds: dict[str, float]) -> None:
    """Add the thresholds to `model.onnx`, if the plugin has written one; a failure must not lose the model."""
    if not (file := run.model_dir / "model.onnx").exists():
        return
    try:
        from vott_trainer.vision.onnx_metadata import add_metadata  # imports onnx, which not every plugin needs

        add_metadata(file, thresholds=thresholds)
    except Exception as error:  # a plugin may write anything
        run.note(report.not_written("The metadata with the score thresholds in model.onnx", error))


def _to_json(value: Any) -> Any:
    """Return a number for a scalar of numpy or torch, else text."""
    return value.item() if getattr(value, "ndim", None) == 0 else str(value)
