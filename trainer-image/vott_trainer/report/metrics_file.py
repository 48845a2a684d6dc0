"""metrics.json: all metrics, for programs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vott_trainer.http.json_redaction import redact_json
from vott_trainer.plugin_api import Evaluation, ReliabilityPoint
from vott_trainer.report.calibration import calibration_error
from vott_trainer.report.result import Result


def write_metrics(path: Path, result: Result) -> None:
    """Write metrics.json; URLs lose their query, numbers that JSON can't hold become null."""
    path.write_text(json.dumps(redact_json(_content(result)), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _content(result: Result) -> dict[str, Any]:
    return {
        "plugin": result.plugin,
        "parameters": result.parameters,
        "settings": result.settings,
        "metrics": result.metrics,
        "device": result.device,
        "labels": result.labels,
        "counts": result.counts,
        **result.details,
        "history": result.history,
        "seconds": result.seconds,
        "findings": [asdict(finding) for finding in result.findings],
        "notes": result.notes,
        "trainerVersion": result.trainer_version,
        "trainingJob": result.trainingjob,
        **_evaluation(result.evaluation),
    }


def _evaluation(evaluation: Evaluation | None) -> dict[str, Any]:
    if not evaluation:
        return {}
    intervals = evaluation.intervals
    return {
        "intervals": {"confidence": 0.95, "metrics": intervals.metrics, "perClass": intervals.per_class},
        "perClass": evaluation.per_class,
        "folds": [{"heldOutImages": fold.items, "metrics": fold.metrics} for fold in evaluation.folds],
        "curves": {label: [point._asdict() for point in curve] for label, curve in evaluation.curves.items()},
        "confusion": asdict(evaluation.confusion) if evaluation.confusion else None,
        "calibration": _calibration(evaluation.reliability),
    }


def _calibration(points: list[ReliabilityPoint]) -> dict[str, Any] | None:
    if not points:
        return None
    return {"expectedCalibrationError": calibration_error(points), "points": [asdict(point) for point in points]}
