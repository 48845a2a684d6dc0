"""Plan table: from a new TrainingJob to running pods, and the reasons to wait."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed, PodEvent

TWO = {"trainer": {"nodes": 2}}
YOUNG = "2026-01-01T11:59:50Z"
QUOTA = (
    'Error creating: pods "cats-0-abcde" is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=8, limited: 4'
)


CLASH = {"podTemplate": {"spec": {"serviceAccountName": "root"}}}


def rejected(observed: Observed, text: str) -> Observed:
    return replace(observed, pod_creation_error=text)


STARTING = [
    row("a new TrainingJob gets its Job", b.observed(), create_job=True),
    row("several nodes: it gets a Service too", b.observed(b.trainingjob(TWO)), create_job=True, create_service=True),
    row("a suspended TrainingJob gets its Job", b.observed(b.trainingjob({"suspend": True})), create_job=True),
    row(
        "a TrainingJob with a callback gets the finalizer first",
        b.observed(b.trainingjob(b.CALLBACK)),
        finalizer="added",
        requeue=0.0,
    ),
    row(
        "a removed finalizer is added again, even while it runs",
        b.observed(b.trainingjob(b.CALLBACK, b.running_status()), b.job(), b.running_pod()),
        finalizer="added",
    ),
    row(
        "a TrainingJob with callback and finalizer gets its Job",
        b.observed(b.trainingjob(b.CALLBACK, metadata={"finalizers": ["other.dev/x", c.FINALIZER]})),
        create_job=True,
    ),
    row(
        "a podTemplate that contradicts the operator fails it, with path and remedy",
        b.observed(b.trainingjob(CLASH)),
        phase="Failed",
        reason=c.INVALID_SPEC,
        message=(".spec.serviceAccountName", "leave it out: the chart"),
        event="Warning",
    ),
    row("a Job that has just started may have no pod", b.observed(None, b.job(start_time=YOUNG)), requeue=True),
    row(
        "a Job without a start time changes nothing",
        b.observed(b.trainingjob(status=b.running_status()), b.job(start_time=None)),
    ),
    row(
        "a pod that is merely starting is not written, but checked again",
        b.observed(None, b.job(), b.pod(waiting_reason="ContainerCreating", created=YOUNG)),
        requeue=16.0,
    ),
    row(
        "however long it waited for its node",
        b.observed(None, b.job(), b.pod(waiting_reason="ContainerCreating", scheduled_at=YOUNG)),
        requeue=16.0,
    ),
    row(
        "the longer it starts, the rarer the checks",
        b.observed(None, b.job(), b.pod(waiting_reason="ContainerCreating", created="2026-01-01T11:59:00Z")),
        requeue=60.0,
    ),
    row(
        "but at least every five minutes",
        b.observed(None, b.job(), b.pod(waiting_reason="ContainerCreating")),
        requeue=300.0,
    ),
]
PODS = [
    row(
        "an unschedulable pod shows the scheduler's message",
        b.observed(None, b.job(), b.pod(node="", unschedulable="0/3 nodes: Insufficient nvidia.com/gpu.")),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        message=("Insufficient nvidia.com/gpu.", "kubectl describe nodes"),
        event="Warning",
    ),
    row(
        "a lack of disk names the setting that asks for it",
        b.observed(None, b.job(), b.pod(node="", unschedulable="0/3 nodes: Insufficient ephemeral-storage.")),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        message=("Insufficient ephemeral-storage.", "lower the operator's setting trainer.workRequest"),
        event="Warning",
    ),
    *(
        row(
            f"an image that can't be pulled is named ({reason})",
            b.observed(None, b.job(), b.pod(waiting_reason=reason, image="x:1", waiting_message="no such tag")),
            phase="Pending",
            reason=c.IMAGE_PULL_FAILED,
            message=("x:1", reason, "no such tag", "registry"),
            event="Warning",
        )
        for reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
    ),
    row(
        "a container that can't be created is explained",
        b.observed(None, b.job(), b.pod(waiting_reason="CreateContainerConfigError", waiting_message="no secret x")),
        phase="Pending",
        reason=c.CONTAINER_CONFIG_ERROR,
        message=("no secret x", "kubectl describe pod cats-0-abcde"),
        event="Warning",
    ),
    row(
        "a missing Secret is named",
        replace(b.observed(None, b.job(), b.pod()), missing_secret="cats-urls"),
        phase="Pending",
        reason=c.CONTAINER_CONFIG_ERROR,
        message=("cats-urls", "Create it in namespace training"),
        event="Warning",
    ),
    row(
        "the same reason emits one Event",
        b.observed(
            b.trainingjob(status=b.pending_status(c.UNSCHEDULABLE)), b.job(), b.pod(node="", unschedulable="0/4 nodes")
        ),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        message=("0/4 nodes",),
    ),
    row(
        "a reason that no longer holds is replaced before the pod runs",
        b.observed(
            b.trainingjob(status=b.pending_status(c.UNSCHEDULABLE)), b.job(), b.pod(waiting_reason="ContainerCreating")
        ),
        phase="Pending",
        reason=c.POD_STARTING,
        message=("Pod cats-0-abcde starts on node n1",),
        event="Normal",
    ),
    row(
        "Running after a wait emits an Event",
        b.observed(b.trainingjob(status=b.pending_status(c.UNSCHEDULABLE)), b.job(), b.running_pod()),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        event="Normal",
    ),
]
NO_CONFIGMAP = 'MountVolume.SetUp failed for volume "authorities" : configmap "not-there" not found'
SANDBOX = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
    f'"{"ab12" * 16}": plugin type="calico" failed (add): no free address'
)
PREEMPTION = (
    "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/3 nodes are available: "
    "3 No preemption victims found for incoming pod."
)


def with_event(reason: str, message: str, **pod: Any) -> Observed:
    return replace(b.observed(None, b.job(), b.pod(**pod)), start_event=PodEvent(reason, message))


SLOW_STARTS = [
    row(
        "a volume that can't be mounted is named, with the kubelet's cause",
        with_event("FailedMount", NO_CONFIGMAP),
        phase="Pending",
        reason=c.FAILED_MOUNT,
        message=('can\'t be mounted (volume authorities: configmap "not-there" not found)',),
        event="Warning",
        requeue=300.0,
    ),
    row(
        "any other Event that keeps the pod from starting is quoted, without ids and layers",
        with_event("FailedCreatePodSandBox", SANDBOX),
        phase="Pending",
        reason=c.POD_NOT_STARTED,
        message=(
            '(FailedCreatePodSandBox: Failed to create pod sandbox: failed to setup network for sandbox plugin type="calico"',
        ),
        event="Warning",
    ),
    row(
        "an init container that runs for long is named",
        b.observed(None, b.job(), b.pod(waiting_reason="PodInitializing", init_container="istio-init")),
        phase="Pending",
        reason=c.POD_NOT_STARTED,
        message=("waits for its init container istio-init", "kubectl logs cats-0-abcde -c istio-init"),
        event="Warning",
    ),
    row(
        "an init container that has just started is not",
        b.observed(None, b.job(), b.pod(init_container="istio-init", created=YOUNG)),
        requeue=16.0,
    ),
    row(
        "a container beside the trainer whose image can't be pulled is named",
        b.observed(None, b.job(), b.pod(waiting_container="proxy", waiting_reason="ErrImagePull", image="proxy:1")),
        phase="Pending",
        reason=c.IMAGE_PULL_FAILED,
        message=("The image proxy:1 of container proxy can't be pulled",),
        event="Warning",
    ),
    row(
        "a sidecar that crashes is named",
        b.observed(None, b.job(), b.pod(waiting_container="proxy", waiting_reason="CrashLoopBackOff")),
        phase="Pending",
        reason=c.POD_NOT_STARTED,
        message=("Container proxy fails again and again", "-c proxy"),
        event="Warning",
    ),
    row(
        "a scheduling gate is named",
        b.observed(
            None,
            b.job(),
            b.pod(node="", not_scheduled="SchedulingGated: Scheduling is blocked due to non-empty scheduling gates"),
        ),
        phase="Pending",
        reason=c.POD_NOT_STARTED,
        message=("SchedulingGated",),
        event="Warning",
    ),
    row(
        "a device that the runtime does not know is named",
        b.observed(
            None, b.job(), b.pod(waiting_reason="CreateContainerError", waiting_message="unresolvable CDI devices")
        ),
        phase="Pending",
        reason=c.CONTAINER_CONFIG_ERROR,
        message=("unresolvable CDI devices",),
        event="Warning",
    ),
]


def test_the_schedulers_remarks_on_claims_and_preemption_are_left_out() -> None:
    status = decide(b.observed(None, b.job(), b.pod(node="", unschedulable=PREEMPTION))).status
    assert status is not None
    (condition,) = status["conditions"]
    assert condition["message"].startswith(
        "No node can take the pod: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu. It starts once"
    )


MISSING_PODS = [
    row(
        "a Job without a pod for a while is reported",
        b.observed(None, b.job()),
        phase="Pending",
        reason=c.POD_NOT_CREATED,
        message=("has not created a pod yet", "kubectl describe job -n training cats"),
        event="Warning",
    ),
    row(
        "a quota that rejects the pod is named",
        rejected(b.observed(None, b.job()), QUOTA),
        phase="Pending",
        reason=c.QUOTA_EXCEEDED,
        message=("nvidia.com/gpu=8", "ResourceQuota gpus"),
        event="Warning",
    ),
    row(
        "any other rejection of the pod is quoted",
        rejected(b.observed(None, b.job()), "Error creating: admission webhook says no."),
        phase="Pending",
        reason=c.POD_NOT_CREATED,
        message=("admission webhook says no", "keeps trying"),
        event="Warning",
    ),
    row(
        "a quota that rejects the pod of a retry is named too",
        rejected(b.observed(b.trainingjob(status=b.pending_status(c.RETRYING)), b.job(failed_pods=1)), QUOTA),
        phase="Pending",
        reason=c.QUOTA_EXCEEDED,
        message=("ResourceQuota gpus",),
        event="Warning",
    ),
    row(
        "several nodes: a quota is named with the number of running pods",
        rejected(b.observed(b.trainingjob(TWO), b.job(), b.running_pod()), QUOTA),
        phase="Pending",
        reason=c.QUOTA_EXCEEDED,
        message=("1 of 2 pods run", "ResourceQuota gpus"),
        event="Warning",
    ),
]
SEVERAL = [
    row(
        "several nodes: running pods wait for the others",
        b.observed(b.trainingjob(TWO), b.job(), b.running_pod(), b.pod("cats-1-abcde")),
        phase="Pending",
        reason=c.WAITING_FOR_PODS,
        message=("1 of 2 pods run",),
        event="Normal",
        requeue=True,
    ),
    row(
        "several nodes: the unschedulable pod explains the wait",
        b.observed(
            b.trainingjob(TWO), b.job(), b.running_pod(), b.pod("cats-1-abcde", node="", unschedulable="0/1 nodes.")
        ),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        message=("1 of 2 pods run", "0/1 nodes."),
        event="Warning",
    ),
    row(
        "several nodes: two pods with one index are not all pods",
        b.observed(b.trainingjob(TWO), b.job(), b.running_pod("cats-0-aaaaa"), b.running_pod("cats-0-bbbbb")),
        phase="Pending",
        reason=c.WAITING_FOR_PODS,
        event="Normal",
    ),
    row(
        "several nodes: pods that all start are not written",
        b.observed(b.trainingjob(TWO), b.job(), b.pod("cats-0-abcde"), b.pod("cats-1-abcde")),
        requeue=True,
    ),
]


@pytest.mark.parametrize(("observed", "expected"), STARTING + PODS + SLOW_STARTS + MISSING_PODS + SEVERAL)
def test_waiting(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))


def test_a_message_is_one_line_of_bounded_length() -> None:
    observed = b.observed(
        None, b.job(), b.pod(waiting_reason="ErrImagePull", waiting_message="a\n\tb\r\n" + "x" * 5000)
    )
    status = decide(observed).status
    assert status is not None
    (condition,) = status["conditions"]
    assert "a b" in condition["message"]
    assert len(condition["message"]) <= 1024
