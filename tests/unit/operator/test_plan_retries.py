"""Plan table: failures are retried and count; interruptions are retried and do not count."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.attempts import attempts as attempts_of
from vott_operator.decisions.condition_messages import DISRUPTIONS
from vott_operator.decisions.observed import Observed

LATER = "2026-01-01T11:30:00Z"
CHECKPOINT = {"url": "/checkpoints/1/0.pt", "epoch": 12, "step": 40, "time": b.HOUR_AGO}


def after(seen_job: Any, *pods: Any, spec: Any = None, **status: Any) -> Observed:
    """The observed state after the training ran."""
    return b.observed(b.trainingjob(spec, b.running_status(**status)), seen_job, *pods)


FAILURES = [
    row(
        "a failure is retried, and the status shows the last failure",
        after(b.job(failed_pods=1), b.failed_pod(), b.pod(created=LATER)),
        phase="Pending",
        reason=c.RETRYING,
        message=("Attempt 2 of 4", "exit code 1", "kubectl logs -n training cats-0-first"),
        event="Warning",
        fields={"restarts": 0},
        requeue=True,
    ),
    row(
        "a failure shows before the next pod exists",
        after(b.job(failed_pods=1), b.failed_pod()),
        phase="Pending",
        reason=c.RETRYING,
        message=("Attempt 2 of 4",),
        event="Warning",
    ),
    row(
        "the next pod's reason to wait takes precedence",
        after(b.job(failed_pods=1), b.failed_pod(), b.pod(created=LATER, node="", unschedulable="0/1 nodes.")),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        message=("0/1 nodes.",),
        event="Warning",
    ),
    row(
        "a failure of a pod that is gone shows as such",
        after(b.job(failed_pods=1), b.pod(created=LATER)),
        phase="Pending",
        reason=c.RETRYING,
        message=("deleted or lost",),
        event="Warning",
    ),
    row(
        "an eviction by the kubelet counts as a failure",
        after(
            b.job(failed_pods=1),
            b.failed_pod(code=None, reason="Evicted", message="The node was low on resource: ephemeral-storage."),
            b.pod(created=LATER),
        ),
        phase="Pending",
        reason=c.RETRYING,
        message=("low on resource", "trainer.workVolume"),
        event="Warning",
    ),
    row(
        "the pod after a failure is a restart",
        b.observed(
            b.trainingjob(status=b.pending_status(c.RETRYING, podName="cats-0-first")),
            b.job(failed_pods=1),
            b.failed_pod(),
            b.running_pod(created=LATER),
        ),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 1},
        event="Normal",
    ),
]
REJECTED: dict[str, Any] = {
    "code": None,
    "reason": "UnexpectedAdmissionError",
    "message": "no GPU is healthy",
    "node": "gpu7",
}
EXHAUSTED = {"failed_reason": "BackoffLimitExceeded", "failed_message": "Job has reached the specified backoff limit"}
REJECTIONS = [
    row(
        "a pod that its node rejected does not count",
        after(b.job(failed_pods=1), b.failed_pod(**REJECTED), b.pod(created=LATER)),
        phase="Pending",
        reason=c.POD_REJECTED,
        message=("Node gpu7 rejected the pod", "no GPU is healthy", "device plugin", "does not count"),
        fields={"restarts": 0},
        event="Warning",
    ),
    row(
        "a Job that used its retries for rejected pods is replaced, and its next pods avoid the node",
        after(
            b.job(failed_pods=4, **EXHAUSTED), *[b.failed_pod(f"cats-0-{number}", **REJECTED) for number in range(4)]
        ),
        phase="Pending",
        reason=c.POD_REJECTED,
        message=("on another node than gpu7 if possible", "does not count"),
        fields={"failures": 0, "restarts": 0},
        event="Warning",
        delete_job=True,
    ),
    row(
        "a rejected pod does not count with backoffLimit 0 either",
        after(b.job(failed_pods=1, **EXHAUSTED), b.failed_pod(**REJECTED), spec={"backoffLimit": 0}),
        phase="Pending",
        reason=c.POD_REJECTED,
        fields={"failures": 0},
        event="Warning",
        delete_job=True,
    ),
    row(
        "a Job that used its retries for failures has failed",
        after(
            b.job(failed_pods=2, **EXHAUSTED),
            b.failed_pod("cats-0-a", **REJECTED),
            b.failed_pod("cats-0-b", created=LATER),
            spec={"backoffLimit": 0},
        ),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        event="Warning",
    ),
    row(
        "the failures of the Jobs before it count",
        after(b.job(failures=3, failed_pods=1, **EXHAUSTED), b.failed_pod()),
        phase="Failed",
        reason=c.TRAINER_FAILED,
        message=("Tried 4 times",),
        event="Warning",
        fields={"restarts": 3},
    ),
    row(
        "the next Job waits longer after each rejection",
        after(
            b.job(failed_pods=1, start_time="2026-01-01T11:59:50Z", **EXHAUSTED),
            b.failed_pod(**REJECTED | {"created": "2026-01-01T11:59:51Z"}),
            spec={"backoffLimit": 0},
            attempts=[b.attempt("Rejected", "OutOfcpu"), b.attempt("Rejected", "OutOfcpu", podName="cats-0-old")],
        ),
        phase="Pending",
        reason=c.POD_REJECTED,
        event="Warning",
        requeue=30.0,
    ),
    row(
        "several nodes: a rejected pod does not count",
        after(
            b.job(failed_pods=2, **EXHAUSTED),
            b.failed_pod("cats-1-first", **REJECTED),
            b.failed_pod(code=143),
            spec={"trainer": {"nodes": 2}},
        ),
        phase="Pending",
        reason=c.POD_REJECTED,
        message=("gpu7",),
        fields={"failures": 0},
        event="Warning",
        delete_job=True,
    ),
]
OTHER_NODES = [
    row(
        "two failures on one node: the Job is replaced by one that avoids it",
        after(b.job(failed_pods=2), b.failed_pod("cats-0-a"), b.failed_pod("cats-0-b", created=LATER)),
        phase="Pending",
        reason=c.RETRYING,
        message=("Attempt 3 of 4 follows, on another node than n1 if possible.",),
        fields={"failures": 2},
        event="Warning",
        delete_job=True,
    ),
    row(
        "a Job that avoids the node already is kept",
        after(
            b.job(failed_pods=2, avoided_nodes=("n1",)),
            b.failed_pod("cats-0-a"),
            b.failed_pod("cats-0-b", created=LATER),
        ),
        phase="Pending",
        reason=c.RETRYING,
        event="Warning",
        requeue=True,
    ),
    row(
        "a pod that already runs is kept",
        after(
            b.job(failed_pods=2),
            b.failed_pod("cats-0-a"),
            b.failed_pod("cats-0-b", created=LATER),
            b.running_pod(created="2026-01-01T11:40:00Z"),
        ),
        fields={"restarts": 2},
        event=f"Warning/{c.NO_PROGRESS}",
    ),
    row(
        "out of memory is not the node's fault",
        after(
            b.job(failed_pods=2),
            b.failed_pod("cats-0-a", 137, terminated_reason="OOMKilled"),
            b.failed_pod("cats-0-b", 137, terminated_reason="OOMKilled", created=LATER),
        ),
        phase="Pending",
        reason=c.RETRYING,
        event="Warning",
        requeue=True,
    ),
]
EVICTED: dict[str, Any] = {
    "code": None,
    "reason": "Evicted",
    "disruption": "TerminationByKubelet",
    "message": "low on resource: disk.",
}


def attempts(number: int, outcome: str, reason: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        b.attempt(outcome, reason, podName=f"cats-0-{index}", nodeName=f"n-{index}", **fields)
        for index in range(number)
    ]


LIMITS = [
    row(
        "a fifth eviction ends the training",
        after(b.job(), b.failed_pod(**EVICTED), b.pod(created=LATER), attempts=attempts(4, "Evicted", "Evicted")),
        phase="Failed",
        reason=c.EVICTED,
        message=("evicted the training 5 times", "low on resource: disk.", "trainer.workRequest"),
        event="Warning",
    ),
    row(
        "also when the pods before it are gone",
        after(b.job(), b.pod(), attempts=attempts(5, "Evicted", "Evicted")),
        phase="Failed",
        reason=c.EVICTED,
        event="Warning",
    ),
    row(
        "a fourth does not",
        after(b.job(), b.failed_pod(**EVICTED), b.pod(created=LATER), attempts=attempts(3, "Evicted", "Evicted")),
        phase="Pending",
        reason=c.INTERRUPTED,
        event="Warning",
        requeue=True,
    ),
    row(
        "evictions count since the training last got further",
        after(
            b.job(),
            b.failed_pod(**EVICTED),
            b.pod(created=LATER),
            attempts=attempts(9, "Evicted", "Evicted", epoch=3),
            progress={"epochCurrent": 4},
        ),
        phase="Pending",
        reason=c.INTERRUPTED,
        event="Warning",
        requeue=True,
    ),
    row(
        "ten interruptions in a row without progress end the training",
        after(
            b.job(),
            b.failed_pod(code=None, disruption="PreemptionByScheduler"),
            attempts=attempts(9, "Interrupted", "PreemptionByScheduler"),
        ),
        phase="Failed",
        reason=c.INTERRUPTED,
        message=("10 times in a row", "PreemptionByScheduler", "trainer.interruptionLimit"),
        event="Warning",
    ),
    row(
        "an interruption after progress begins a new row",
        after(
            b.job(),
            b.failed_pod(code=None, disruption="PreemptionByScheduler"),
            attempts=attempts(19, "Interrupted", "PreemptionByScheduler", epoch=3, step=1),
            progress={"epochCurrent": 3, "stepCurrent": 2},
        ),
        phase="Pending",
        reason=c.INTERRUPTED,
        event="Warning",
        requeue=True,
    ),
    row(
        "several nodes: interruptions are limited, too",
        after(
            b.job(failed_reason="PodFailurePolicy", failed_message="matching FailJob rule at index 0"),
            b.failed_pod("cats-1-first", 143, disruption="EvictionByEvictionAPI"),
            spec={"trainer": {"nodes": 2}},
            attempts=attempts(9, "Interrupted", "EvictionByEvictionAPI"),
        ),
        phase="Failed",
        reason=c.INTERRUPTED,
        event="Warning",
    ),
]
INTERRUPTIONS = [
    *(
        row(
            f"a pod that was {text} does not count ({reason})",
            after(b.job(), b.running_pod("cats-0-first", ends_by=b.SOON, disruption=reason)),
            phase="Pending",
            reason=c.INTERRUPTED,
            message=(text, "does not count"),
            event="Warning",
            fields={"restarts": 0},
        )
        for reason, text in DISRUPTIONS.items()
    ),
    row(
        "the next pod after an eviction does not count",
        after(b.job(), b.failed_pod(code=None, disruption="EvictionByEvictionAPI"), b.pod(created=LATER)),
        phase="Pending",
        reason=c.INTERRUPTED,
        message=("Pod cats-0-first was evicted", "another pod takes over", "does not count against spec.backoffLimit"),
        event="Warning",
        requeue=True,
    ),
    row(
        "with a checkpoint the status shows where the next pod resumes",
        after(
            b.job(),
            b.failed_pod(code=None, disruption="EvictionByEvictionAPI"),
            b.pod(created=LATER),
            checkpoint=CHECKPOINT,
        ),
        phase="Pending",
        reason=c.INTERRUPTED,
        message=("another pod takes over and resumes from epoch 12.",),
        event="Warning",
        requeue=True,
    ),
    row(
        "an eviction shows before the next pod exists",
        after(b.job(), b.failed_pod(code=143, disruption="EvictionByEvictionAPI")),
        phase="Pending",
        reason=c.INTERRUPTED,
        message=("evicted",),
        event="Warning",
    ),
    row(
        "a deleted pod is an interruption",
        after(b.job(), b.running_pod("cats-0-first", ends_by=b.SOON)),
        phase="Pending",
        reason=c.INTERRUPTED,
        message=("Pod cats-0-first was stopped",),
        event="Warning",
    ),
    row(
        "a pod that ended by SIGTERM is an interruption",
        after(b.job(), b.failed_pod(code=143), b.pod(created=LATER)),
        phase="Pending",
        reason=c.INTERRUPTED,
        message=("was stopped",),
        event="Warning",
    ),
    row(
        "a pod that is gone without a trace is an interruption",
        after(b.job(), b.pod(created=LATER)),
        phase="Pending",
        reason=c.INTERRUPTED,
        message=("deleted or lost",),
        event="Warning",
    ),
    row(
        "a pod that its node does not end in time shows the node's name",
        after(
            b.job(), b.running_pod("cats-0-first", ends_by=b.HOUR_AGO, disruption="DeletionByTaintManager", node="gpu7")
        ),
        phase="Pending",
        reason=c.NODE_LOST,
        message=("gpu7", "kubectl describe node gpu7", "delete it"),
        event="Warning",
    ),
    row(
        "an interruption after a failure shows as the latest cause",
        after(
            b.job(failed_pods=1),
            b.failed_pod(),
            b.failed_pod("cats-0-second", None, disruption="PreemptionByScheduler", created=LATER),
            b.pod(created="2026-01-01T11:59:00Z"),
            restarts=1,
        ),
        phase="Pending",
        reason=c.INTERRUPTED,
        message=("cats-0-second", "preempted"),
        event="Warning",
        fields={"restarts": 1},
    ),
    row(
        "the pod after an interruption is a restart, although the Job counts no failure",
        b.observed(
            b.trainingjob(status=b.pending_status(c.INTERRUPTED, podName="cats-0-first")),
            b.job(),
            b.failed_pod(code=143),
            b.running_pod(created=LATER),
        ),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 1, "podName": "cats-0-abcde"},
        event="Normal",
    ),
]


@pytest.mark.parametrize(("observed", "expected"), FAILURES + REJECTIONS + OTHER_NODES + LIMITS + INTERRUPTIONS)
def test_retries(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))


def test_the_full_list_of_attempts_does_not_change_for_pods_of_the_same_second() -> None:
    pods = [b.failed_pod(f"cats-0-{number:02}", **EVICTED) for number in range(22)]
    first = attempts_of(after(b.job(), *pods))
    recorded = [attempt.model_dump(mode="json", by_alias=True, exclude_none=True) for attempt in first]
    assert attempts_of(after(b.job(), *pods, attempts=recorded)) == first
