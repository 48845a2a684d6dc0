"""What the chart allows the operator and the trainer, asked of a real API server."""

import json
import re
from typing import Any

import pytest

from demo.kubectl import Kubectl
from tests.support.corner import RELEASE, Corner
from tests.support.waiting import wait_until

TEAM = "permissions-team"
TEAM_QUEUE = {"name": "of-the-team", "targetNamespace": TEAM}
WHERE_IT_TRAINS = {
    "trainingjobs.vott.dev": {"get", "list", "watch", "create", "patch", "delete"},
    "trainingjobs.vott.dev/status": {"patch"},
    "trainingjobs.vott.dev/finalizers": {"update"},
    "jobs.batch": {"get", "list", "watch", "create", "patch", "delete"},
    "services": {"get", "create"},
    "pods": {"get", "list", "watch"},
    "secrets": {"get", "create"},
    "events": {"create", "list"},
}
LEADER_ELECTION = {
    "leases.coordination.k8s.io": {"create"},
    f"leases.coordination.k8s.io {RELEASE}": {"get", "update"},
}
TRAINER = {"trainingjobs.vott.dev/status": {"patch"}}
NOTHING: dict[str, set[str]] = {}
SELF_REVIEWS = ("selfsubject", "[/")
with_a_team = pytest.mark.parametrize("corner", [{"queues": [TEAM_QUEUE]}], indirect=True, ids=["a team"])


def permissions(corner: Corner, account: str, namespace: str) -> dict[str, set[str]]:
    """What an account may do in a namespace: resource, with the object's name where it is held to one, and verbs."""
    who = f"--as=system:serviceaccount:{account}"
    table = corner.kubectl("auth", "can-i", "--list", who, "--no-headers", f"--namespace={namespace}")
    rows = re.findall(r"^(\S+)\s+\[.*?\]\s+\[(.*?)\]\s+\[(.*?)\]", table, re.MULTILINE)
    return {
        f"{resource} {name}".strip(): set(verbs.split())
        for resource, name, verbs in rows
        if not resource.startswith(SELF_REVIEWS)
    }


@with_a_team
def test_the_service_accounts_may_do_this_and_nothing_else(corner: Corner) -> None:
    operator, trainer, teams = (
        f"{corner.name}:{RELEASE}",
        f"{corner.name}:{RELEASE}-trainer",
        f"{TEAM}:{RELEASE}-trainer",
    )
    found = {
        (account, where): permissions(corner, account, where)
        for account in (operator, trainer, teams)
        for where in (corner.name, TEAM, "default")
    }
    assert found == {
        (operator, corner.name): WHERE_IT_TRAINS | LEADER_ELECTION,
        (operator, TEAM): WHERE_IT_TRAINS,
        (operator, "default"): NOTHING,
        (trainer, corner.name): TRAINER,
        (trainer, TEAM): NOTHING,
        (trainer, "default"): NOTHING,
        (teams, corner.name): NOTHING,
        (teams, TEAM): TRAINER,
        (teams, "default"): NOTHING,
    }


Pods = dict[tuple[str, str], str]
INDEX = "batch.kubernetes.io/job-completion-index"


@pytest.fixture
def trainings(corner: Corner) -> tuple[Corner, Pods]:
    """Two TrainingJobs, one's name the beginning of the other's, with two nodes each; and the pod of each node."""
    corner.operator()
    for name in ("cats", "cats-0"):
        corner.create_trainingjob(name, trainer={"nodes": 2})
    pods = wait_until("four pods", lambda: found if len(found := corner.pods()) == 4 else None, dump=corner.picture)
    labels = [(pod["metadata"]["labels"], pod["metadata"]["name"]) for pod in pods]
    return corner, {(label["vott.dev/trainingjob"], label[INDEX]): name for label, name in labels}


def test_the_first_pod_of_a_training_reports_to_its_own_trainingjob_only(trainings: tuple[Corner, Pods]) -> None:
    corner, pods = trainings
    progress = {"progress": {"percent": 1}}
    for (owner, index), pod in pods.items():
        for target in ("cats", "cats-0"):
            answer = corner.report(pod, target, progress)
            assert answer.ok == (owner == target and index == "0"), answer.text
            if not answer.ok:
                assert f'pod "{pod}" may not report to TrainingJob "{target}"' in answer.json()["message"]


@with_a_team
def test_a_teams_queue_trains_in_its_namespace_and_its_trainers_report_there_only(corner: Corner) -> None:
    team = Kubectl(corner.kubectl.kubeconfig, TEAM)
    corner.operator()
    for name in ("a", "b"):
        message = {"annotations": f"https://host/{name}.csv", "model": "https://store/models"}
        corner.send(message, queue=str(TEAM_QUEUE["name"]))
    selector = "vott.dev/trainingjob"
    pods = wait_until("two pods", lambda: found if len(found := team.list("pods", selector)) == 2 else None, seconds=60)
    own, other = (pod["metadata"]["labels"][selector] for pod in pods)
    name = str(pods[0]["metadata"]["name"])
    assert corner.report(name, own, {"progress": {"percent": 1}}, TEAM).ok
    assert not corner.report(name, other, {"progress": {"percent": 1}}, TEAM).ok
    assert corner.trainingjobs() == []


def test_a_trainer_writes_all_that_it_may_know(trainings: tuple[Corner, Pods]) -> None:
    corner, pods = trainings
    status = {
        "progress": {"percent": 42, "gpuMemoryMiB": 71_000, "gpuUtilizationPercent": 97},
        "metrics": [{"name": "mAP50", "value": 0.9}],
        "model": {"url": "s3://models/cats/model.tgz", "sha256": "ab" * 32, "sizeBytes": 1},
        "checkpoint": {"url": "/checkpoints/uid", "epoch": 3, "step": 7, "time": "2026-01-01T00:00:00Z"},
    }
    answer = corner.report(pods["cats", "0"], "cats", status)
    assert answer.ok, answer.text
    known = corner.kubectl.get("trainingjob", "cats")["status"]
    assert {name: known[name] for name in status} == status


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Complete"},
        {"jobName": "other"},
        {"restarts": 7},
        {"podName": "other"},
        {"failures": 7},
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
def test_a_trainer_writes_its_own_fields_only(trainings: tuple[Corner, Pods], status: dict[str, Any]) -> None:
    corner, pods = trainings
    answer = corner.report(pods["cats", "0"], "cats", status)
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
