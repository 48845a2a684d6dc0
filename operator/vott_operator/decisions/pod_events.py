"""What the Events of a pod tell about its start. Pure.

A pod whose volume can't be mounted, or whose network can't be set up, looks like one that is merely starting: only its Events
have the reason.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from vott_operator.decisions.observed import PodEvent

PULLING = "Pulling"
MOUNT_REASONS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
PROGRESS_REASONS = (PULLING, "Pulled", "Created", "Started", "SuccessfulAttachVolume")
IGNORED_WARNINGS = ("FailedScheduling", "DNSConfigForming", "FailedToRetrieveImagePullSecret")
"""The first is in the pod's conditions; the others do not keep a pod from starting."""
GENERAL_MOUNT_FAILURE = "Unable to attach or mount volumes"
"""The kubelet repeats this every two minutes, between Events that have the cause."""


def start_event(events: Iterable[Mapping[str, Any]]) -> PodEvent | None:
    """The newest Event about the pod's start; an Event that names a cause takes precedence over one that does not."""
    relevant = sorted((event for event in events if _is_relevant(event)), key=_time)
    if not relevant:
        return None
    newest = relevant[-1]
    if newest.get("reason") in MOUNT_REASONS:
        failures = (event for event in reversed(relevant) if event.get("reason") in MOUNT_REASONS)
        newest = next((event for event in failures if not _message(event).startswith(GENERAL_MOUNT_FAILURE)), newest)
    return PodEvent(str(newest.get("reason") or ""), _message(newest))


def _is_relevant(event: Mapping[str, Any]) -> bool:
    reason = event.get("reason")
    return reason in PROGRESS_REASONS or (event.get("type") == "Warning" and reason not in IGNORED_WARNINGS)


def _message(event: Mapping[str, Any]) -> str:
    return str(event.get("message") or "")


def _time(event: Mapping[str, Any]) -> str:
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")
