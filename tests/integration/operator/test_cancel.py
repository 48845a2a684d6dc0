"""A TrainingJob deleted before its end: its pods stop, its callback gets `cancelled`, and no object remains."""

import json
from typing import Any

from demo.callbacks import CallbackReceiver
from tests.support.examples import message
from tests.support.operator_harness import OperatorHarness
from tests.support.waiting import wait_until

FINALIZER = "vott.dev/last-word"


def send(harness: OperatorHarness, **fields: Any) -> str:
    """Send a message, run its pod, and return the name of its running TrainingJob."""
    harness.send(message(**fields))
    harness.run_pod(harness.wait_pod())
    return str(harness.wait_phase("Running")["metadata"]["name"])


def delete(harness: OperatorHarness, name: str) -> None:
    harness.kubectl("delete", "trainingjob", name, "--wait=false")


def wait_deleted(harness: OperatorHarness) -> None:
    def remaining() -> list[Any]:
        return [*harness.trainingjobs(), *harness.kubectl.list("jobs"), *harness.pods(), *secrets(harness)]

    wait_until("the deletion of all objects", lambda: not remaining(), seconds=60, dump=harness.diagnostics)


def secrets(harness: OperatorHarness) -> list[Any]:
    return harness.kubectl.list("secrets", "vott.dev/trainingjob")


def test_a_cancelled_training_leaves_no_objects_and_its_callback_gets_cancelled(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    harness.operator()
    name = send(harness, status=receiver.url, model="https://store/models?sig=SECRET")
    assert len(secrets(harness)) == 1
    delete(harness, name)
    wait_deleted(harness)
    (outcome,) = receiver.posts
    assert (outcome["state"], outcome["job"]) == ("cancelled", name)
    assert "deleted before its training ended" in outcome["message"]


def test_a_deletion_while_the_operator_is_down_is_reported_after_its_restart(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    operator = harness.operator()
    name = send(harness, status=receiver.url)
    operator.sigkill()
    delete(harness, name)
    assert len(harness.trainingjobs()) == 1
    assert receiver.posts == []
    harness.operator()
    wait_deleted(harness)
    assert [post["state"] for post in receiver.posts] == ["cancelled"]


def test_a_trainingjob_without_a_callback_has_no_finalizer(harness: OperatorHarness) -> None:
    operator = harness.operator()
    name = send(harness)
    operator.sigkill()
    delete(harness, name)
    wait_deleted(harness)


def test_the_finalizer_is_removed_once_the_outcome_is_delivered(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    operator = harness.operator()
    name = send(harness, status=receiver.url)
    assert harness.kubectl.get("trainingjob", name)["metadata"]["finalizers"] == [FINALIZER]
    harness.end_pod(
        harness.pods()[0]["metadata"]["name"], 65, json.dumps({"reason": "BadAnnotations", "message": "No."})
    )
    harness.wait_condition("CallbackDelivered")

    def released() -> bool:
        return "finalizers" not in harness.kubectl.get("trainingjob", name)["metadata"]

    wait_until("no finalizer", released, dump=harness.diagnostics)
    operator.sigkill()
    delete(harness, name)
    wait_deleted(harness)
    assert [post["state"] for post in receiver.posts] == ["failed"]


def test_a_trainingjob_without_a_message_gets_its_finalizer_before_its_job(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    harness.operator()
    harness.create_trainingjob("mine", callback={"url": receiver.url})
    harness.wait_pod()
    assert harness.kubectl.get("trainingjob", "mine")["metadata"]["finalizers"] == [FINALIZER]
    delete(harness, "mine")
    wait_deleted(harness)
    assert [post["state"] for post in receiver.posts] == ["cancelled"]
