"""Plan table: failures are retried and count; interruptions are retried and do not count."""

from typing import Any

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
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
        "a pod that its node rejected counts as a failure, as in the Job",
        after(
            b.job(failed_pods=1),
            b.failed_pod(code=None, reason="UnexpectedAdmissionError", message="no GPU is healthy"),
            b.pod(created=LATER),
        ),
        phase="Pending",
        reason=c.RETRYING,
        message=("no GPU is healthy", "device plugin"),
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


@pytest.mark.parametrize(("observed", "expected"), FAILURES + INTERRUPTIONS)
def test_retries(observed: Observed, expected: Expected) -> None:
    expected.check(observed, decide(observed))
