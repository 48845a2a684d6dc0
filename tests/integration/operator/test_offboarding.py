"""A team leaves: its namespace is deleted, or its queue is removed from the values, while it trains."""

import copy
import itertools
import json
from collections.abc import Iterator

import pytest

from demo.callbacks import CallbackReceiver
from demo.kubectl import Kubectl
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.examples import REPORTED_MODEL, message
from tests.support.operator_harness import RELEASE, Object, OperatorHarness
from tests.support.waiting import wait_until

BINDING = f"{RELEASE}-operator"
IN_USE = "vott.dev/in-use"
numbers = itertools.count(1)


@pytest.fixture
def harness(control_plane: ControlPlane, azurite: Azurite) -> Iterator[OperatorHarness]:
    """A release with a queue of its own and one of a team."""
    name = f"leaving-{next(numbers)}"
    queues: list[Object] = [{"name": name}, {"name": f"{name}-queue", "targetNamespace": f"{name}-team"}]
    with OperatorHarness(control_plane, azurite, name, {"queues": queues}) as harness:
        yield harness


@pytest.fixture
def team(harness: OperatorHarness) -> OperatorHarness:
    """The harness in the team's namespace."""
    team = copy.copy(harness)
    team.name = f"{harness.name}-team"
    team.kubectl = Kubectl(harness.kubectl.kubeconfig, team.name)
    return team


def finalizers(team: OperatorHarness) -> list[str]:
    """Finalizers of the operator's RoleBinding."""
    return list(team.kubectl.get("rolebinding", BINDING)["metadata"].get("finalizers", ()))


def delete_namespace(team: OperatorHarness) -> None:
    team.kubectl("delete", "namespace", team.name, "--wait=false")


def wait_deleted(team: OperatorHarness) -> None:
    def namespaces() -> list[str]:
        return [item["metadata"]["name"] for item in team.kubectl.list("namespaces")]

    wait_until("the end of the namespace", lambda: team.name not in namespaces(), seconds=60, dump=team.diagnostics)


def test_a_deleted_namespace_goes_once_its_callbacks_know_that_its_trainings_were_cancelled(
    harness: OperatorHarness, team: OperatorHarness, receiver: CallbackReceiver
) -> None:
    operator = harness.operator()
    # The deletion of the namespace deletes the Secret with the callback's URL at once.
    harness.send(message(status=receiver.url, model="https://store/models?sig=SECRET"), queue=f"{harness.name}-queue")
    team.run_pod(team.wait_pod())
    team.wait_phase("Running")
    assert finalizers(team) == [IN_USE]
    assert finalizers(harness) == []  # without the release's namespace there is no operator that could remove it
    delete_namespace(team)
    wait_deleted(team)
    assert [post["state"] for post in receiver.posts] == ["cancelled"]
    harness.create_trainingjob("another")  # in the release's own namespace
    harness.wait_pod()
    assert operator.poll() is None


def test_a_namespace_that_is_deleted_while_the_operator_is_down_waits_for_it(
    harness: OperatorHarness, team: OperatorHarness, receiver: CallbackReceiver
) -> None:
    operator = harness.operator()
    team.create_trainingjob("cats", callback={"url": receiver.url})
    team.run_pod(team.wait_pod())
    team.wait_phase("Running")
    operator.stop()
    delete_namespace(team)
    wait_until("the end of the pods", lambda: not team.pods(), seconds=60, dump=team.diagnostics)
    assert finalizers(team) == [IN_USE]
    harness.operator()
    # The namespace controller looks again only after some seconds, so its end is left to the test above.
    wait_until("no RoleBinding", lambda: not team.kubectl.list("rolebindings"), seconds=60, dump=team.diagnostics)
    assert [post["state"] for post in receiver.posts] == ["cancelled"]
    assert team.trainingjobs() == []


def test_a_namespace_in_which_nothing_trains_does_not_wait(
    harness: OperatorHarness, team: OperatorHarness, receiver: CallbackReceiver
) -> None:
    operator = harness.operator()
    team.create_trainingjob("cats", callback={"url": receiver.url})
    team.wait_pod()
    assert finalizers(team) == [IN_USE]
    team.kubectl("delete", "trainingjob", "cats")
    wait_until("no finalizer", lambda: finalizers(team) == [], dump=team.diagnostics)
    operator.stop()
    delete_namespace(team)
    wait_deleted(team)


def test_a_namespace_without_a_queue_drains_and_the_next_upgrade_removes_the_permissions(
    harness: OperatorHarness, team: OperatorHarness, receiver: CallbackReceiver
) -> None:
    without_the_team = {"queues": [{"name": harness.name}]}
    operator = harness.operator()
    team.create_trainingjob("cats", callback={"url": receiver.url})
    team.create_trainingjob("dogs")
    pods = wait_until("two pods", lambda: found if len(found := team.pods()) == 2 else None, dump=team.diagnostics)
    names = {pod["metadata"]["labels"]["vott.dev/trainingjob"]: pod["metadata"]["name"] for pod in pods}
    team.run_pod(names["cats"])
    team.wait_phase("Running", "cats")
    operator.stop()
    harness.install(without_the_team)
    harness.operator()
    assert team.report(names["cats"], "cats", {"model": REPORTED_MODEL}).ok
    team.end_pod(names["cats"], 0)
    team.wait_phase("Complete", "cats")
    wait_until("no finalizer", lambda: finalizers(team) == [], dump=team.diagnostics)
    assert [post["state"] for post in receiver.posts] == ["succeeded"]
    harness.install(without_the_team)
    team.kubectl.get("rolebinding", BINDING)  # "dogs" has not ended
    team.kubectl("delete", "trainingjob", "dogs")
    harness.install(without_the_team)
    labelled = json.loads(
        team.kubectl(
            "get",
            "rolebindings,roles,serviceaccounts,networkpolicies",
            f"-lapp.kubernetes.io/instance={RELEASE}",
            "-ojson",
        )
    )
    assert labelled["items"] == []
