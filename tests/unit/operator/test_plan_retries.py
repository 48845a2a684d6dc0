"""The table of decisions: a pod ended before its time. Faults count, interruptions do not, and some things are final."""

from typing import Any

import pytest

from tests.support.observed_state import (
    HOUR_AGO,
    SOON,
    job,
    observed,
    pod,
    running_pod,
    trainingjob,
    was_pending,
    was_running,
)
from tests.unit.operator.expectations import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.explanations import DISRUPTIONS
from vott_operator.decisions.observed import Observed

LATER = "2026-01-01T11:30:00Z"
CHECKPOINT = {"url": "/checkpoints/1/0.pt", "epoch": 12, "step": 40, "time": HOUR_AGO}


def failed_pod(name: str = "cats-0-first", code: int | None = 1, **fields: Any) -> Any:
    return pod(name, phase="Failed", exit_code=code, **fields)


def after(seen_job: Any, *pods: Any, spec: Any = None, **status: Any) -> Observed:
    """What is seen after it ran."""
    return observed(trainingjob(spec, was_running(**status)), seen_job, *pods)


FAULTS = [
    row(
        "a fault is tried again, and what went wrong before is told",
        after(job(failed_pods=1), failed_pod(), pod(created=LATER)),
        phase="Pending",
        reason=c.RETRYING,
        says=("Attempt 2 of 4", "exit code 1", "kubectl logs -n training cats-0-first"),
        event="Warning",
        fields={"restarts": 0},
        again=True,
    ),
    row(
        "a fault is told before the next pod is there",
        after(job(failed_pods=1), failed_pod()),
        phase="Pending",
        reason=c.RETRYING,
        says=("Attempt 2 of 4",),
        event="Warning",
    ),
    row(
        "the next pod's own trouble is more urgent",
        after(job(failed_pods=1), failed_pod(), pod(created=LATER, node="", unschedulable="0/1 nodes.")),
        phase="Pending",
        reason=c.UNSCHEDULABLE,
        says=("0/1 nodes.",),
        event="Warning",
    ),
    row(
        "a fault of a pod that nobody can ask any more is told as such",
        after(job(failed_pods=1), pod(created=LATER)),
        phase="Pending",
        reason=c.RETRYING,
        says=("deleted or lost",),
        event="Warning",
    ),
    row(
        "an eviction for using too much is the training's fault",
        after(
            job(failed_pods=1),
            failed_pod(code=None, reason="Evicted", message="The node was low on resource: ephemeral-storage."),
            pod(created=LATER),
        ),
        phase="Pending",
        reason=c.RETRYING,
        says=("low on resource", "trainer.workVolume"),
        event="Warning",
    ),
    row(
        "a pod that its node refused is a fault, as the Job counts it",
        after(
            job(failed_pods=1),
            failed_pod(code=None, reason="UnexpectedAdmissionError", message="no GPU is healthy"),
            pod(created=LATER),
        ),
        phase="Pending",
        reason=c.RETRYING,
        says=("no GPU is healthy", "device plugin"),
        event="Warning",
    ),
    row(
        "the pod after a fault runs as attempt 2",
        observed(
            trainingjob(status=was_pending(c.RETRYING, podName="cats-0-first")),
            job(failed_pods=1),
            failed_pod(),
            running_pod(created=LATER),
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
            f"a pod that ends because it is {words} is waited for and does not count ({reason})",
            after(job(), running_pod("cats-0-first", ends_by=SOON, disruption=reason)),
            phase="Pending",
            reason=c.INTERRUPTED,
            says=(words, "does not count"),
            event="Warning",
            fields={"restarts": 0},
        )
        for reason, words in DISRUPTIONS.items()
    ),
    row(
        "an evicted pod's successor is waited for and does not count",
        after(job(), failed_pod(code=None, disruption="EvictionByEvictionAPI"), pod(created=LATER)),
        phase="Pending",
        reason=c.INTERRUPTED,
        says=("Pod cats-0-first was evicted", "another pod takes over", "does not count against spec.backoffLimit"),
        event="Warning",
        again=True,
    ),
    row(
        "where there is a checkpoint, it is told where the successor goes on",
        after(
            job(), failed_pod(code=None, disruption="EvictionByEvictionAPI"), pod(created=LATER), checkpoint=CHECKPOINT
        ),
        phase="Pending",
        reason=c.INTERRUPTED,
        says=("another pod takes over and resumes from epoch 12.",),
        event="Warning",
        again=True,
    ),
    row(
        "an evicted pod whose successor is not there yet is told at once",
        after(job(), failed_pod(code=143, disruption="EvictionByEvictionAPI")),
        phase="Pending",
        reason=c.INTERRUPTED,
        says=("evicted",),
        event="Warning",
    ),
    row(
        "a pod that somebody deleted is an interruption",
        after(job(), running_pod("cats-0-first", ends_by=SOON)),
        phase="Pending",
        reason=c.INTERRUPTED,
        says=("Pod cats-0-first was stopped",),
        event="Warning",
    ),
    row(
        "a pod that ended by SIGTERM is an interruption",
        after(job(), failed_pod(code=143), pod(created=LATER)),
        phase="Pending",
        reason=c.INTERRUPTED,
        says=("was stopped",),
        event="Warning",
    ),
    row(
        "a pod that is gone without a trace is an interruption",
        after(job(), pod(created=LATER)),
        phase="Pending",
        reason=c.INTERRUPTED,
        says=("deleted or lost",),
        event="Warning",
    ),
    row(
        "a pod that its node does not end in time is told with the node's name",
        after(job(), running_pod("cats-0-first", ends_by=HOUR_AGO, disruption="DeletionByTaintManager", node="gpu7")),
        phase="Pending",
        reason=c.NODE_LOST,
        says=("gpu7", "kubectl describe node gpu7", "delete it"),
        event="Warning",
    ),
    row(
        "an interruption after a fault is told as what came last",
        after(
            job(failed_pods=1),
            failed_pod(),
            failed_pod("cats-0-second", None, disruption="PreemptionByScheduler", created=LATER),
            pod(created="2026-01-01T11:59:00Z"),
            restarts=1,
        ),
        phase="Pending",
        reason=c.INTERRUPTED,
        says=("cats-0-second", "preempted"),
        event="Warning",
        fields={"restarts": 1},
    ),
    row(
        "the pod after an interruption is one restart more, though the Job counts no failure",
        observed(
            trainingjob(status=was_pending(c.INTERRUPTED, podName="cats-0-first")),
            job(),
            failed_pod(code=143),
            running_pod(created=LATER),
        ),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 1, "podName": "cats-0-abcde"},
        event="Normal",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), FAULTS + INTERRUPTIONS)
def test_retries(seen: Observed, expected: Expected) -> None:
    expected.check(seen, decide(seen))
