"""Which Event of a pod explains why it does not start."""

from typing import Any

from vott_operator.decisions.pod_events import start_event

CAUSE = 'MountVolume.SetUp failed for volume "x" : configmap "y" not found'


def event(reason: str, minute: int, message: str = "m", type_: str = "Warning") -> dict[str, Any]:
    return {"reason": reason, "message": message, "type": type_, "lastTimestamp": f"2026-01-01T12:{minute:02}:00Z"}


def reason_of(*events: dict[str, Any]) -> str:
    found = start_event(events)
    return found.reason if found else ""


def test_the_newest_event_counts() -> None:
    pulling = event("Pulling", 3, type_="Normal")
    assert reason_of(event("FailedMount", 2), pulling, event("FailedAttachVolume", 1)) == "Pulling"
    assert reason_of(pulling, event("FailedCreatePodSandBox", 4)) == "FailedCreatePodSandBox"


def test_events_that_do_not_keep_a_pod_from_starting_are_ignored() -> None:
    ignored = [event("DNSConfigForming", 5), event("FailedScheduling", 4), event("Scheduled", 6, type_="Normal")]
    assert start_event([]) is None
    assert start_event(ignored) is None
    assert reason_of(*ignored, event("FailedMount", 1)) == "FailedMount"


def test_the_cause_takes_precedence_over_the_kubelets_summary() -> None:
    summary = event("FailedMount", 4, "Unable to attach or mount volumes: unmounted volumes=[x]: timed out")
    found = start_event([event("FailedMount", 2, CAUSE), summary])
    assert found is not None
    assert found.message == CAUSE


def test_the_time_of_a_series_counts() -> None:
    series = event("FailedMount", 1) | {"lastTimestamp": None, "series": {"lastObservedTime": "2026-01-01T12:09:00.5Z"}}
    assert reason_of(series, event("Pulling", 3, type_="Normal")) == "FailedMount"
