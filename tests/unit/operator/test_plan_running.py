"""Plan table: a running training, and the count of its restarts."""

import pytest

from tests.support import observed_state as b
from tests.unit.operator.plan_table import Expected, decide, row
from vott_operator.api import constants as c
from vott_operator.decisions.observed import Observed

TWO = {"trainer": {"nodes": 2}}
ALL_RUN = b.condition("Running", reason=c.TRAINER_RUNNING, message="All 2 pods are training.")
RUNNING = [
    row(
        "a running pod makes it Running, without an Event",
        b.observed(None, b.job(), b.running_pod()),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        message=("Pod cats-0-abcde is training.",),
        fields={"podName": "cats-0-abcde", "jobName": "cats", "restarts": 0, "observedGeneration": 1},
        requeue=False,
    ),
    row(
        "an unchanged status is not written again",
        b.observed(b.trainingjob(status=b.running_status()), b.job(), b.running_pod()),
        requeue=False,
    ),
    row(
        "a new generation is written",
        b.observed(b.trainingjob(status=b.running_status(), metadata={"generation": 2}), b.job(), b.running_pod()),
        fields={"observedGeneration": 2},
    ),
    row(
        "several nodes: Running needs all pods",
        b.observed(b.trainingjob(TWO), b.job(), b.running_pod(), b.running_pod("cats-1-abcde")),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        message=("All 2 pods are training.",),
        fields={"podName": "cats-0-abcde"},
    ),
    row(
        "a pod without a recorded Job uid belongs to the Job",
        b.observed(
            b.trainingjob(status=b.running_status(podName=None)),
            b.job(),
            b.running_pod("cats-0-abcde", job_uid=""),
        ),
        fields={"podName": "cats-0-abcde", "restarts": 0},
    ),
    row(
        "an ending pod of an earlier Job is not the training pod",
        b.observed(
            b.trainingjob(status=b.pending_status(c.INTERRUPTED, podName="cats-0-older")),
            b.job(),
            b.running_pod("cats-0-older", job_uid="earlier"),
            b.pod("cats-0-young"),
        ),
    ),
    *(
        row(
            f"a container that has just ended changes nothing before the Job does (attempt {failed + 1}, {phase}, exit code {code})",
            b.observed(
                b.trainingjob(status=b.running_status(restarts=failed)),
                b.job(failed_pods=failed),
                *[b.pod("cats-0-first", phase="Failed", exit_code=1) for _ in range(failed)],
                b.pod(phase=phase, exit_code=code, created="2026-01-01T11:30:00Z"),
            ),
        )
        for failed in (0, 1)
        for phase, code in (("Running", 0), ("Succeeded", 0), ("Running", 1), ("Failed", 1))
    ),
    row(
        "several nodes: the first success changes nothing while the others run",
        b.observed(
            b.trainingjob(TWO, b.running_status() | {"conditions": [ALL_RUN]}),
            b.job(),
            b.pod(phase="Succeeded", exit_code=0),
            b.running_pod("cats-1-abcde"),
        ),
    ),
]
RESTARTS = [
    row(
        "another pod is a restart",
        b.observed(b.trainingjob(status=b.running_status()), b.job(), b.running_pod("cats-0-fghij")),
        fields={"podName": "cats-0-fghij", "restarts": 1},
        phase="Running",
        reason=c.TRAINER_RUNNING,
    ),
    row(
        "each further pod is one more restart",
        b.observed(
            b.trainingjob(status=b.pending_status(c.INTERRUPTED, podName="cats-0-b", restarts=6)),
            b.job(),
            b.running_pod(),
        ),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 7},
        event="Normal",
    ),
    row(
        "the first pod is no restart",
        b.observed(b.trainingjob(status=b.pending_status(c.UNSCHEDULABLE)), b.job(), b.running_pod()),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 0},
        event="Normal",
    ),
    row(
        "a pod after a suspension is no restart",
        b.observed(b.trainingjob(status=b.suspended_status(restarts=2)), b.job(), b.running_pod("cats-0-fghij")),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 2, "podName": "cats-0-fghij"},
        conditions={"Suspended": f"False/{c.RESUMED}"},
        event="Normal",
    ),
    row(
        "unseen failures are counted from the Job",
        b.observed(b.trainingjob(status=b.running_status()), b.job(failed_pods=3), b.running_pod("cats-0-fghij")),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 3},
    ),
    row(
        "a new Job does not reduce the count",
        b.observed(
            b.trainingjob(status=b.running_status(restarts=4)), b.job(failed_pods=1), b.running_pod("cats-0-fghij")
        ),
        phase="Running",
        reason=c.TRAINER_RUNNING,
        fields={"restarts": 5},
    ),
    row(
        "several nodes: the pods of the first node are counted",
        b.observed(
            b.trainingjob(TWO, b.running_status(conditions=[ALL_RUN])),
            b.job(),
            b.running_pod("cats-0-fghij"),
            b.running_pod("cats-1-fghij"),
        ),
        fields={"podName": "cats-0-fghij", "restarts": 1},
    ),
    row(
        "several nodes: another node's pod is no restart",
        b.observed(
            b.trainingjob(TWO, b.running_status(conditions=[ALL_RUN])),
            b.job(),
            b.running_pod(),
            b.running_pod("cats-1-fghij"),
        ),
    ),
]


@pytest.mark.parametrize(("observed", "expected"), RUNNING + RESTARTS)
def test_running(observed: Observed, expected: Expected) -> None:
    trainer = {"image": "trainer:1", "stalledAfterSeconds": 0, "restartStalledAfterSeconds": 0}
    expected.check(observed, decide(observed, trainer=trainer))
