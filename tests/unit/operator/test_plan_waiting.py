"""The table of decisions: from a new TrainingJob to pods that run, and what is said of each reason to wait."""

from dataclasses import replace

import pytest

from tests.support.observed_state import (
    job,
    observed,
    pod,
    running_pod,
    trainingjob,
    was_pending,
    was_running,
    was_suspended,
)
from tests.unit.operator.expectations import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

TWO = {"trainer": {"nodes": 2}}
YOUNG = "2026-01-01T11:59:50Z"
CALLBACK = {"callback": {"url": "https://host/status"}}
QUOTA = (
    'Error creating: pods "cats-0-abcde" is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=8, limited: 4'
)
CLASH = {"podTemplate": {"spec": {"serviceAccountName": "root"}}}


def refused(seen: Observed, text: str) -> Observed:
    return replace(seen, pod_creation_error=text)


STARTING = [
    row("a new TrainingJob gets its Job", observed(), create=True),
    row("one of several nodes gets a Service, too", observed(trainingjob(TWO)), create=True, service=True),
    row("one that is suspended gets a Job that is", observed(trainingjob({"suspend": True})), create=True),
    row(
        "one with a callback gets the finalizer first",
        observed(trainingjob(CALLBACK)),
        finalizer="added",
        again=0.0,
    ),
    row(
        "one whose finalizer somebody took away gets it again, also while it runs",
        observed(trainingjob(CALLBACK, was_running()), job(), running_pod()),
        finalizer="added",
    ),
    row(
        "one with a callback and the finalizer gets its Job",
        observed(trainingjob(CALLBACK, metadata={"finalizers": ["other.dev/x", c.FINALIZER]})),
        create=True,
    ),
    row(
        "a podTemplate that contradicts the operator ends it with the path and the remedy",
        observed(trainingjob(CLASH)),
        phase="Failed",
        reason=c.INVALID_SPEC,
        says=(".spec.serviceAccountName", "leave it out: the chart"),
        event="Warning",
    ),
    row("a Job that has just begun may be without a pod", observed(None, job(start_time=YOUNG)), again=True),
    row(
        "of a Job whose start its controller has yet to note nothing is said",
        observed(trainingjob(status=was_running()), job(start_time=None)),
    ),
    row(
        "a pod that is merely starting is no news, but is looked at again",
        observed(None, job(), pod(waiting_reason="ContainerCreating", created=YOUNG)),
        again=16.0,
    ),
    row(
        "the longer it starts, the more seldom it is looked at",
        observed(None, job(), pod(waiting_reason="ContainerCreating", created="2026-01-01T11:59:00Z")),
        again=60.0,
    ),
    row(
        "but not more seldom than every five minutes",
        observed(None, job(), pod(waiting_reason="ContainerCreating")),
        again=300.0,
    ),
]

PODS = [
    row(
        "a pod without a node tells which resource is short",
        observed(None, job(), pod(node="", unschedulable="0/3 nodes: Insufficient nvidia.com/gpu.")),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        says=("Insufficient nvidia.com/gpu.", "kubectl describe nodes"),
        event="Warning",
    ),
    *(
        row(
            f"an image that can't be pulled is named ({reason})",
            observed(None, job(), pod(waiting_reason=reason, image="x:1", waiting_message="no such tag")),
            phase="Pending",
            reason=c.IMAGE_PULL_FAILED,
            says=("x:1", reason, "no such tag", "registry"),
            event="Warning",
        )
        for reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
    ),
    row(
        "a container that can't be made is explained",
        observed(None, job(), pod(waiting_reason="CreateContainerConfigError", waiting_message="no secret x")),
        phase="Pending",
        reason=c.CONTAINER_CONFIG_ERROR,
        says=("no secret x", "kubectl describe pod cats-0-abcde"),
        event="Warning",
    ),
    row(
        "a Secret that is not there is named",
        replace(observed(None, job(), pod()), missing_secret="cats-urls"),
        phase="Pending",
        reason=c.CONTAINER_CONFIG_ERROR,
        says=("cats-urls", "Create it in namespace training"),
        event="Warning",
    ),
    row(
        "the same waiting is told by one event",
        observed(trainingjob(status=was_pending(c.UNSCHEDULABLE)), job(), pod(node="", unschedulable="0/4 nodes")),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        says=("0/4 nodes",),
    ),
    row(
        "a wait that is over is taken back before it runs",
        observed(trainingjob(status=was_pending(c.UNSCHEDULABLE)), job(), pod(waiting_reason="ContainerCreating")),
        phase="Pending",
        reason=c.POD_STARTING,
        says=("Pod cats-0-abcde starts on node n1",),
        event="Normal",
    ),
    row(
        "that it runs at last is told by an Event",
        observed(trainingjob(status=was_pending(c.UNSCHEDULABLE)), job(), running_pod()),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        event="Normal",
    ),
]

NO_PODS = [
    row(
        "a Job that makes no pod for a while is said",
        observed(None, job()),
        phase="Pending",
        reason=c.POD_NOT_CREATED,
        says=("has not created a pod yet", "kubectl describe job -n training cats"),
        event="Warning",
    ),
    row(
        "a quota that refuses the pod is named",
        refused(observed(None, job()), QUOTA),
        phase="Pending",
        reason=c.QUOTA_EXCEEDED,
        says=("nvidia.com/gpu=8", "ResourceQuota gpus"),
        event="Warning",
    ),
    row(
        "whatever else refuses the pod is quoted",
        refused(observed(None, job()), "Error creating: admission webhook says no."),
        phase="Pending",
        reason=c.POD_NOT_CREATED,
        says=("admission webhook says no", "keeps trying"),
        event="Warning",
    ),
    row(
        "a quota that refuses the pod of a retry is named as well",
        refused(observed(trainingjob(status=was_pending(c.RETRYING)), job(failed_pods=1)), QUOTA),
        phase="Pending",
        reason=c.QUOTA_EXCEEDED,
        says=("ResourceQuota gpus",),
        event="Warning",
    ),
    row(
        "of several nodes one pod that a quota refuses is named, with how many run",
        refused(observed(trainingjob(TWO), job(), running_pod()), QUOTA),
        phase="Pending",
        reason=c.QUOTA_EXCEEDED,
        says=("1 of 2 pods run", "ResourceQuota gpus"),
        event="Warning",
    ),
]

SEVERAL = [
    row(
        "of several nodes those that run wait for the others",
        observed(trainingjob(TWO), job(), running_pod(), pod("cats-1-abcde")),
        phase="Pending",
        reason=c.WAITING_FOR_PODS,
        says=("1 of 2 pods run",),
        event="Normal",
        again=True,
    ),
    row(
        "of several nodes the one without a node tells why all wait",
        observed(trainingjob(TWO), job(), running_pod(), pod("cats-1-abcde", node="", unschedulable="0/1 nodes.")),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        says=("1 of 2 pods run", "0/1 nodes."),
        event="Warning",
    ),
    row(
        "of several nodes a second pod of the same index does not make it complete",
        observed(trainingjob(TWO), job(), running_pod("cats-0-aaaaa"), running_pod("cats-0-bbbbb")),
        phase="Pending",
        reason=c.WAITING_FOR_PODS,
        event="Normal",
    ),
    row(
        "several nodes that all start say nothing yet",
        observed(trainingjob(TWO), job(), pod("cats-0-abcde"), pod("cats-1-abcde")),
        again=True,
    ),
]

RESUMED = [
    row(
        "resuming is said, and that the training no longer waits",
        observed(trainingjob(status=was_suspended()), job(), pod()),
        phase="Pending",
        conditions={"Suspended": f"False/{c.RESUMED}", "Running": f"False/{c.RESUMED}"},
        event=f"Normal/{c.RESUMED}",
    ),
    row(
        "Kueue's admission is said in the same way",
        observed(trainingjob(status=was_suspended(c.WAITING_FOR_QUOTA)), job(), pod()),
        phase="Pending",
        conditions={"Suspended": f"False/{c.RESUMED}", "Running": f"False/{c.RESUMED}"},
        event=f"Normal/{c.RESUMED}",
    ),
    row(
        "a training that was never run is resumed without the word of an interruption",
        observed(trainingjob(status=was_suspended()), job(start_time=YOUNG)),
        phase="Pending",
        conditions={"Suspended": f"False/{c.RESUMED}"},
        event=f"Normal/{c.RESUMED}",
    ),
    row(
        "a resumed training that finds no node says both",
        observed(trainingjob(status=was_suspended()), job(), pod(node="", unschedulable="0/1 nodes.")),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        conditions={"Suspended": f"False/{c.RESUMED}"},
        event="Warning",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), STARTING + PODS + NO_PODS + SEVERAL + RESUMED)
def test_waiting(seen: Observed, expected: Expected) -> None:
    expected.check(seen, decide(seen))


def test_the_reasons_text_is_one_line_however_it_came() -> None:
    seen = observed(None, job(), pod(waiting_reason="ErrImagePull", waiting_message="a\n\tb\r\n" + "x" * 5000))
    status = decide(seen).status
    assert status is not None
    (said,) = status["conditions"]
    assert "a b" in said["message"]
    assert len(said["message"]) <= 1024


def test_a_deadline_for_a_node_is_awaited() -> None:
    waiting = pod(node="", unschedulable="0/1 nodes.", created="2026-01-01T11:59:00Z")
    result = decide(observed(trainingjob({"pendingDeadlineSeconds": 90}), job(), waiting))
    assert result.requeue_seconds == 30
