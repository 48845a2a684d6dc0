"""The status fields that the trainer owns (docs/trainer-contract.md#progress-reports), from a snapshot."""

from datetime import datetime, timedelta
from typing import Any

from vott_guard.timestamps import timestamp
from vott_trainer.process.gpu_usage import GPUUsage
from vott_trainer.progress.snapshot import Snapshot


def status_fields(snapshot: Snapshot, now: datetime, usage: GPUUsage | None = None) -> dict[str, Any]:
    """Return the fields of a TrainingJob's `status`; unknown ones are absent."""
    fold = snapshot.fold if snapshot.fold.is_one_of_several else None
    progress = {
        "percent": int(snapshot.fraction * 100),
        "epochCurrent": snapshot.epoch_current,
        "epochTotal": snapshot.epoch_total,
        "stepCurrent": snapshot.step_current,
        "stepTotal": snapshot.step_total,
        "foldCurrent": fold and fold.number,
        "foldTotal": fold and fold.total,
        "classificationLoss": _rounded(snapshot.classification_loss),
        "imagesPerSecond": _rounded(snapshot.images_per_second),
        "gpuMemoryMiB": usage.memory_mib if usage else None,
        "gpuUtilizationPercent": usage.utilization_percent if usage else None,
        "lastUpdatedTime": timestamp(now),
        "estimatedCompletionTime": _completion_time(now, snapshot.seconds_left),
    }
    fields: dict[str, Any] = {"progress": {name: value for name, value in progress.items() if value is not None}}
    if snapshot.metrics:
        fields["metrics"] = [{"name": name, "value": round(value, 4)} for name, value in snapshot.metrics.items()]
    if model := snapshot.model:
        fields["model"] = {"url": model.url, "sha256": model.sha256, "sizeBytes": model.size_bytes}
    if newest := snapshot.checkpoint:
        fields["checkpoint"] = {"url": newest.url, "epoch": newest.epoch, "step": newest.step, "time": newest.time}
    return fields


def _completion_time(now: datetime, seconds_left: float | None) -> str | None:
    if seconds_left is None:
        return None
    try:
        return timestamp(now + timedelta(seconds=seconds_left))
    except OverflowError:  # beyond the year 9999
        return None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
