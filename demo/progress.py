"""Describe a TrainingJob's state in one line. Pure."""

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


@dataclass(frozen=True)
class Step:
    """The state to display: phase, description, and the percentage while training."""

    phase: str
    text: str
    percent: int | None = None


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


def describe(job: Manifest | None, pods: list[Manifest]) -> Step:
    """Describe the current state.

    Args:
        job: The TrainingJob, or None.
        pods: The pods of its Job, in any order.
    """
    if job is None:
        return Step(QUEUED, "the message is in the queue")
    if is_true(job, "Failed"):
        return Step(FAILED, _reason_text(condition(job, "Failed")))
    if is_true(job, "Complete"):
        return Step(COMPLETE, "the model is uploaded and verified")
    running = condition(job, "Running")
    if running.get("status") == "False":
        return Step(WAITING, _reason_text(running))
    progress = job.get("status", {}).get("progress", {})
    if progress.get("epochTotal"):
        return Step(TRAINING, _training(progress), progress.get("percent", 0))
    return _before_training(job, pods)


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
            return Step(STARTING, "trainer: downloading annotations and images")


def _training(progress: dict[str, Any]) -> str:
    parts = [f"epoch {progress.get('epochCurrent') or 1}/{progress['epochTotal']}"]
    if progress.get("classificationLoss") is not None:
        parts.append(f"loss {progress['classificationLoss']:.3f}")
    if progress.get("imagesPerSecond"):
        parts.append(f"{progress['imagesPerSecond']:.1f} images/s")
    return "  ".join(parts)


def _reason_text(reason: dict[str, Any]) -> str:
    return f"{reason.get('reason', 'Unknown')}: {reason.get('message') or 'no message'}"
