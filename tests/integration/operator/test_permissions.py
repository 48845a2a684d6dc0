"""What the chart allows the operator and the trainer, asked of a real API server."""

import json
from typing import Any

import pytest

from tests.support.corner import RELEASE, Corner
from tests.support.waiting import wait_until

OPERATOR_MAY = {
    "trainingjobs.vott.dev": {"get", "list", "watch", "create"},
    "trainingjobs.vott.dev/status": {"patch"},
    "trainingjobs.vott.dev/finalizers": {"update"},
    "jobs.batch": {"get", "list", "watch", "create", "patch"},
    "pods": {"get", "list", "watch"},
    "secrets": {"get", "create"},
    "events": {"create"},
}
TRAINER_MAY = {"trainingjobs.vott.dev/status": {"patch"}}
VERBS = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
SELF_REVIEWS = ("selfsubject", "[/")


@pytest.mark.parametrize(("account", "allowed"), [(RELEASE, OPERATOR_MAY), (f"{RELEASE}-trainer", TRAINER_MAY)])
def test_a_service_account_may_do_this_and_nothing_else(
    corner: Corner, account: str, allowed: dict[str, set[str]]
) -> None:
    table = corner.kubectl(
        "auth", "can-i", "--list", f"--as=system:serviceaccount:{corner.name}:{account}", "--no-headers"
    )
    found = {}
    for line in table.splitlines():
        resource, verbs = line.split()[0], line.partition("[")[2] and line.rpartition("[")[2].rstrip("] ")
        if not resource.startswith(SELF_REVIEWS):
            found[resource] = set(verbs.split())
    assert found == allowed


@pytest.fixture
def two(corner: Corner) -> tuple[Corner, dict[str, str]]:
    """Two TrainingJobs, one's name the beginning of the other's, with the pod of each."""
    corner.operator()
    for name in ("cats", "cats-x"):
        corner.create_trainingjob(name)
    pods = wait_until("two pods", lambda: found if len(found := corner.pods()) == 2 else None, dump=corner.picture)
    return corner, {pod["metadata"]["labels"]["vott.dev/trainingjob"]: pod["metadata"]["name"] for pod in pods}


def test_a_trainer_reports_to_its_own_trainingjob_only(two: tuple[Corner, dict[str, str]]) -> None:
    corner, pods = two
    progress = {"progress": {"percent": 1}}
    for owner, pod in pods.items():
        for target in pods:
            answer = corner.report(pod, target, progress)
            assert answer.ok == (owner == target), answer.text
            if owner != target:
                assert "may only report to the TrainingJob that it belongs to" in answer.text


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Complete"},
        {"jobName": "other"},
        {"restarts": 7},
        {
            "conditions": [
                {
                    "type": "Complete",
                    "status": "True",
                    "reason": "R",
                    "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ]
        },
    ],
    ids=lambda status: next(iter(status)),
)
def test_a_trainer_writes_its_own_fields_only(two: tuple[Corner, dict[str, str]], status: dict[str, Any]) -> None:
    corner, pods = two
    answer = corner.report(pods["cats"], "cats", status)
    assert answer.status_code == 422, answer.text
    assert "the trainer owns status.progress" in answer.text


def test_the_operator_runs_as_restricted_as_the_namespace_asks(corner: Corner) -> None:
    deployment = corner.kubectl.get("deployment", RELEASE)
    corner.kubectl("label", "namespace", corner.name, "pod-security.kubernetes.io/enforce=restricted")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "try"},
        "spec": deployment["spec"]["template"]["spec"],
    }
    corner.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
