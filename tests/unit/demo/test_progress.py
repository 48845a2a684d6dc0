"""Descriptions of a TrainingJob's state."""

from typing import Any

import pytest

from demo.progress import Step, describe, find_job


def job(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "vott-1", "annotations": {"vott.dev/message-id": "m1"}}, "status": status}


def pod(phase: str, node: str | None = None, created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    spec = {"nodeName": node} if node else {}
    return {"metadata": {"creationTimestamp": created}, "spec": spec, "status": {"phase": phase}}


def failed(reason: str, message: str, type_: str = "Failed", status: str = "True") -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": message}


PROGRESS = {"percent": 42, "epochCurrent": 4, "epochTotal": 10, "classificationLoss": 0.51234, "imagesPerSecond": 9.84}


@pytest.mark.parametrize(
    ("state", "pods", "expected"),
    [
        (job(), [], Step("created", "TrainingJob vott-1")),
        (job(), [pod("Pending")], Step("waiting", "the pod is waiting for a node with a free GPU")),
        (
            job(),
            [pod("Pending", node="n1")],
            Step("starting", "pod on node n1: pulling the image, starting the container"),
        ),
        (job(), [pod("Running", node="n1")], Step("starting", "trainer: downloading annotations and images")),
        (job(progress=PROGRESS), [pod("Running")], Step("training", "epoch 4/10  loss 0.512  9.8 images/s", 42)),
        (job(progress={"epochTotal": 3}), [pod("Running")], Step("training", "epoch 1/3", 0)),
    ],
)
def test_every_state_has_a_description(state: dict[str, Any], pods: list[dict[str, Any]], expected: Step) -> None:
    assert describe(state, pods) == expected


def test_waiting_shows_the_operators_reason() -> None:
    conditions = [failed("Unschedulable", "no node has a free nvidia.com/gpu", type_="Running", status="False")]
    step = describe(job(conditions=conditions), [pod("Pending")])
    assert step == Step("waiting", "Unschedulable: no node has a free nvidia.com/gpu")


def test_the_newest_pod_is_described() -> None:
    pods = [pod("Pending", node="n2", created="2026-01-01T00:00:09Z"), pod("Failed", node="n1")]
    assert describe(job(), pods).text == "pod on node n2: pulling the image, starting the container"


def test_failure_takes_precedence_over_progress() -> None:
    state = job(progress=PROGRESS, conditions=[failed("BadAnnotations", "line 7")])
    assert describe(state, []) == Step("failed", "BadAnnotations: line 7")


def test_a_job_is_found_by_its_message_id() -> None:
    other = {"metadata": {"name": "by-hand"}}
    assert find_job([other, job()], "m1") == job()
    assert find_job([other], "m1") is None


def test_a_reason_to_wait_takes_precedence_over_earlier_progress() -> None:
    conditions = [failed("Retrying", "Attempt 2 of 4 follows.", type_="Running", status="False")]
    assert describe(job(progress=PROGRESS, conditions=conditions), []).phase == "waiting"
