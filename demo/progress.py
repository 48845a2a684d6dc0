"""Describe a TrainingJob's state in one line. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo.kubectl import Manifest

MESSAGE_ID = "vott.dev/message-id"

QUEUED = "queued"
CREATED = "created"
WAITING = "waiting"
STARTING = "starting"
TRAINING = "training"
COMPLETE = "complete"
FAILED = "failed"

TRAINER_STARTS = "trainer: downloading annotations and images"
MODEL_READY = "the model is uploaded and verified"


@dataclass(frozen=True)
class Step:
    """The state to display: phase, description, and the percentage while training."""

    phase: str
    text: str
    percent: int | None = None


IN_QUEUE = Step(QUEUED, "the message is in the queue")


def find_job(jobs: list[Manifest], message_id: str) -> Manifest | None:
    """The TrainingJob created from the message, or None."""
    return next((job for job in jobs if job["metadata"].get("annotations", {}).get(MESSAGE_ID) == message_id), None)


def condition(job: Manifest, type_: str) -> dict[str, Any]:
    """The condition of this type, or an empty dict."""
    conditions: list[dict[str, Any]] = job.get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == type_), {})


def is_true(job: Manifest, type_: str) -> bool:
    """Whether the condition of this type is True."""
    return condition(job, type_).get("status") == "True"


def describe(job: Manifest, pods: list[Manifest]) -> Step:
    """Describe the current state.

    Args:
        job: The TrainingJob.
        pods: The pods of its Job, in any order.
    """
    if is_true(job, "Failed"):
        return Step(FAILED, reason_text(condition(job, "Failed")))
    if is_true(job, "Complete"):
        return Step(COMPLETE, MODEL_READY)
    running = condition(job, "Running")
    if running.get("status") == "False":
        return Step(WAITING, reason_text(running))
    return training_step(job.get("status", {}).get("progress", {})) or _before_training(job, pods)


def training_step(progress: Mapping[str, Any]) -> Step | None:
    """Describe the trainer's report (`status.progress` of a TrainingJob); None before it trains."""
    if not progress.get("epochTotal"):
        return None
    return Step(TRAINING, _training(progress), progress.get("percent", 0))


def reason_text(condition: Mapping[str, Any]) -> str:
    """Reason and message of a condition."""
    return f"{condition.get('reason', 'Unknown')}: {condition.get('message') or 'no message'}"


def _before_training(job: Manifest, pods: list[Manifest]) -> Step:
    if not pods:
        return Step(CREATED, f"TrainingJob {job['metadata']['name']}")
    pod = max(pods, key=lambda item: item["metadata"]["creationTimestamp"])
    match pod.get("status", {}).get("phase"):
        case "Pending" if pod["spec"].get("nodeName"):
            return Step(STARTING, f"pod on node {pod['spec']['nodeName']}: pulling the image, starting the container")
        case "Pending":
            return Step(WAITING, "the pod is waiting for a node with a free GPU")
        case _:
            return Step(STARTING, TRAINER_STARTS)


def _training(progress: Mapping[str, Any]) -> str:
    parts = [f"epoch {progress.get('epochCurrent') or 1}/{progress['epochTotal']}"]
    if progress.get("classificationLoss") is not None:
        parts.append(f"loss {progress['classificationLoss']:.3f}")
    if progress.get("imagesPerSecond"):
        parts.append(f"{progress['imagesPerSecond']:.1f} images/s")
    return "  ".join(parts)
