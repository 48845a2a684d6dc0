"""A TrainingJob that is deleted before its end: its pods end, its callback hears of it, and nothing of it stays."""

import json
from typing import Any

from demo.callbacks import CallbackReceiver
from tests.support.examples import message
from tests.support.operator_harness import OperatorHarness
from tests.support.waiting import wait_until

FINALIZER = "vott.dev/last-word"


def send(harness: OperatorHarness, **fields: Any) -> str:
    """A message, and the name of its TrainingJob once a pod of it is there."""
    harness.send(message(**fields))
    harness.run_pod(harness.wait_pod())
    return str(harness.wait_phase("Running")["metadata"]["name"])


def delete(harness: OperatorHarness, name: str) -> None:
    harness.kubectl("delete", "trainingjob", name, "--wait=false")


def wait_gone(harness: OperatorHarness) -> None:
    def left() -> list[Any]:
        return [*harness.trainingjobs(), *harness.kubectl.list("jobs"), *harness.pods(), *secrets(harness)]

    wait_until("nothing left", lambda: not left(), seconds=60, dump=harness.diagnostics)


def secrets(harness: OperatorHarness) -> list[Any]:
    return harness.kubectl.list("secrets", "vott.dev/trainingjob")


def test_a_cancelled_training_leaves_nothing_but_a_word_to_its_callback(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    harness.operator()
    name = send(harness, status=receiver.url, model="https://store/models?sig=SECRET")
    assert len(secrets(harness)) == 1
    delete(harness, name)
    wait_gone(harness)
    (said,) = receiver.posts
    assert (said["state"], said["job"]) == ("cancelled", name)
    assert "deleted before its training ended" in said["message"]


def test_a_deletion_while_the_operator_is_down_is_told_when_it_is_back(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    operator = harness.operator()
    name = send(harness, status=receiver.url)
    operator.sigkill()
    delete(harness, name)
    assert len(harness.trainingjobs()) == 1
    assert receiver.posts == []
    harness.operator()
    wait_gone(harness)
    assert [post["state"] for post in receiver.posts] == ["cancelled"]


def test_without_a_callback_nothing_holds_it(harness: OperatorHarness) -> None:
    operator = harness.operator()
    name = send(harness)
    operator.sigkill()
    delete(harness, name)
    wait_gone(harness)


def test_an_ended_training_whose_callback_was_told_is_held_by_nothing(
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
    wait_gone(harness)
    assert [post["state"] for post in receiver.posts] == ["failed"]


def test_one_made_by_hand_gets_its_finalizer_before_its_job(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    harness.operator()
    harness.create_trainingjob("mine", callback={"url": receiver.url})
    harness.wait_pod()
    assert harness.kubectl.get("trainingjob", "mine")["metadata"]["finalizers"] == [FINALIZER]
    delete(harness, "mine")
    wait_gone(harness)
    assert [post["state"] for post in receiver.posts] == ["cancelled"]
