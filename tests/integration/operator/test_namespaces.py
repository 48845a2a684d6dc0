"""Trouble in one namespace stays there: it is deleted, or the operator's permissions in it are."""

import json
import time
from typing import Any

import pytest

from demo.kubectl import Kubectl
from tests.support.operator_harness import OperatorHarness
from tests.support.waiting import wait_until


def values(team: str) -> dict[str, Any]:
    """Chart values with a queue of the release's namespace, and one of a team's."""
    own = {"kind": "storage", "name": f"{team}-own"}
    queues = [own, {"kind": "storage", "name": f"{team}-queue", "targetNamespace": team}]
    return {"queues": queues, "leaderElection": {"leaseDurationSeconds": 60}}  # outlasts the API server's restart


MESSAGE = {"annotations": "https://host/a.csv", "model": "https://store/models"}
KOPF_GAVE_UP_SECONDS = 56
"""kopf's own retries of a watch end after 54 seconds, and with them the operator."""


def jobs(harness: OperatorHarness, namespace: str) -> list[Any]:
    return Kubectl(harness.kubectl.kubeconfig, namespace).list("jobs")


def events(harness: OperatorHarness) -> set[tuple[str, str]]:
    """Reason and kind of the object of the Events about namespaces."""
    found = harness.kubectl.list("events")
    return {
        (item["reason"], item["involvedObject"]["kind"]) for item in found if item["reason"].startswith("Namespace")
    }


@pytest.mark.parametrize("harness", [values("deleted-team")], indirect=True, ids=["a team"])
def test_the_deletion_of_a_teams_namespace_stops_neither_the_operator_nor_the_other_teams(
    harness: OperatorHarness,
) -> None:
    harness.queue(name="deleted-team-own")
    harness.queue(name="deleted-team-queue")
    leader = harness.operator()
    harness.send(MESSAGE, "deleted-team-queue")
    wait_until("a Job of the team", lambda: jobs(harness, "deleted-team"), dump=harness.log.read_text)

    harness.kubectl("delete", "namespace", "deleted-team")
    second = MESSAGE | {"model": "https://store/second"}
    harness.send(second, "deleted-team-queue")  # its refusal has the operator look at once
    wait_until("the condition", lambda: ("NamespaceNotWatched", "Pod") in events(harness), dump=harness.log.read_text)
    harness.control_plane.kill("kube-apiserver")
    harness.control_plane.restart("kube-apiserver")  # all watches connect again, and those of the team are refused
    restarted = time.monotonic()
    standby = harness.operator()
    harness.send(MESSAGE, "deleted-team-own")
    wait_until("a Job of the others", lambda: jobs(harness, harness.name), dump=harness.log.read_text)
    time.sleep(max(0, restarted + KOPF_GAVE_UP_SECONDS - time.monotonic()))
    assert (leader.poll(), standby.poll()) == (None, None), harness.log.read_text()
    assert "Request attempt" not in harness.log.read_text()

    assert leader.stop() == 0
    harness.install(harness.settings)  # creates the namespace, and the operator's Role in it
    wait_until("a Job of the team", lambda: jobs(harness, "deleted-team"), seconds=60, dump=harness.log.read_text)
    poison = harness.queue("-poison", "deleted-team-queue")
    assert list(poison.peek_messages()) == []


@pytest.mark.parametrize("harness", [values("forbidden-team")], indirect=True, ids=["a team"])
def test_an_operator_that_starts_without_permissions_in_a_namespace_works_there_once_it_has_them(
    harness: OperatorHarness,
) -> None:
    harness.queue(name="forbidden-team-own")
    harness.queue(name="forbidden-team-queue")
    harness.send(MESSAGE, "forbidden-team-queue")
    harness.send(MESSAGE, "forbidden-team-own")
    binding = Kubectl(harness.kubectl.kubeconfig, "forbidden-team").get("rolebinding", "vott-train-operator")
    Kubectl(harness.kubectl.kubeconfig, "forbidden-team")("delete", "rolebinding", "vott-train-operator")
    operator = harness.operator()
    wait_until("a Job of the others", lambda: jobs(harness, harness.name), dump=harness.log.read_text)
    assert jobs(harness, "forbidden-team") == []
    waiting = harness.queue(name="forbidden-team-queue").peek_messages()
    assert [json.loads(item.content) for item in waiting] == [MESSAGE]
    del binding["metadata"]["resourceVersion"], binding["metadata"]["uid"]
    Kubectl(harness.kubectl.kubeconfig, "forbidden-team").apply(binding)
    wait_until("a Job of the team", lambda: jobs(harness, "forbidden-team"), seconds=60, dump=harness.log.read_text)
    both = {("NamespaceNotWatched", "Pod"), ("NamespaceWatched", "Pod")}
    wait_until("the Events", lambda: both <= events(harness), dump=harness.log.read_text)
    assert operator.poll() is None
