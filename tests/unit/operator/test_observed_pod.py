"""A pod's status, reduced to what decisions need: init containers, sidecars and scheduling gates."""

from typing import Any

from vott_operator.decisions.observed import PodState, observe_pod

RUNNING = {"running": {"startedAt": "2026-01-01T12:00:00Z"}}
CREATING = {"waiting": {"reason": "PodInitializing"}}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": "no such tag"}}


def terminated(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code}}


def container(name: str, state: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": f"{name}:1", "state": state} | fields


def observe(phase: str, *containers: Any, init: Any = (), spec: Any = None, **status: Any) -> PodState:
    status |= {"phase": phase, "containerStatuses": list(containers), "initContainerStatuses": list(init)}
    return observe_pod({"metadata": {"name": "cats-0-abcde"}, "spec": spec or {}, "status": status})


def blocked(pod: PodState) -> tuple[str, str, str]:
    return pod.waiting_container, pod.waiting_reason, pod.image


def test_the_first_container_that_cannot_start_is_named() -> None:
    trainer, proxy = container("trainer", CREATING), container("proxy", waiting("ImagePullBackOff"))
    assert blocked(observe("Pending", trainer, proxy)) == ("proxy", "ImagePullBackOff", "proxy:1")
    init = [container("fetch", terminated(0)), container("setup", waiting("ErrImagePull"))]
    assert blocked(observe("Pending", trainer, proxy, init=init)) == ("setup", "ErrImagePull", "setup:1")
    assert blocked(observe("Pending", proxy | {"state": RUNNING}, trainer)) == (
        "trainer",
        "PodInitializing",
        "trainer:1",
    )


def test_an_init_container_that_runs_is_named_and_a_started_sidecar_is_not() -> None:
    trainer = container("trainer", CREATING)
    assert observe("Pending", trainer, init=[container("fetch", RUNNING)]).init_container == "fetch"
    sidecar = {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}
    for started, name in ((True, ""), (False, "proxy")):
        init = [container("proxy", RUNNING, started=started)]
        assert observe("Pending", trainer, init=init, spec=sidecar).init_container == name


def test_an_init_container_that_failed_is_named() -> None:
    pod = observe("Failed", container("trainer", CREATING), init=[container("fetch", terminated(2))])
    assert (pod.failed_init_container, pod.rejected) == ("fetch (exit code 2)", False)


def test_the_containers_that_outlive_the_trainer_are_named() -> None:
    proxy = container("proxy", RUNNING)
    assert observe("Running", container("trainer", terminated(0)), proxy).remaining == ("proxy",)
    assert observe("Running", container("trainer", RUNNING), proxy).remaining == ()
    assert observe("Failed", container("trainer", terminated(1)), proxy).remaining == ()


def test_a_scheduling_gate_is_no_lack_of_capacity() -> None:
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "gates"}
    pod = observe("Pending", conditions=[gated])
    assert (pod.not_scheduled, pod.unschedulable) == ("SchedulingGated: gates", "")


def test_a_pod_that_its_node_did_not_accept_is_rejected_and_an_evicted_one_is_not() -> None:
    assert observe("Failed", reason="UnexpectedAdmissionError").rejected
    assert not observe("Failed", reason="Evicted").rejected
    assert not observe("Failed", container("trainer", terminated(1)), reason="OutOfcpu").rejected
