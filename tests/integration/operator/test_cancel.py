"""A TrainingJob that is deleted before its end: its pods end, its callback hears of it, and nothing of it stays."""

import json
from typing import Any

from demo.callbacks import CallbackReceiver
from tests.support.corner import Corner
from tests.support.waiting import wait_until

FINALIZER = "vott.dev/last-word"


def send(corner: Corner, **fields: Any) -> str:
    """A message, and the name of its TrainingJob once a pod of it is there."""
    corner.send({"annotations": "https://host/a.csv", "model": "https://store/models"} | fields)
    corner.run_pod(corner.wait_pod())
    return str(corner.wait_phase("Running")["metadata"]["name"])


def delete(corner: Corner, name: str) -> None:
    corner.kubectl("delete", "trainingjob", name, "--wait=false")


def wait_gone(corner: Corner) -> None:
    def left() -> list[Any]:
        return [*corner.trainingjobs(), *corner.kubectl.list("jobs"), *corner.pods(), *secrets(corner)]

    wait_until("nothing left", lambda: not left(), seconds=60, dump=corner.picture)


def secrets(corner: Corner) -> list[Any]:
    return corner.kubectl.list("secrets", "vott.dev/trainingjob")


def test_a_cancelled_training_leaves_nothing_but_a_word_to_its_callback(
    corner: Corner, receiver: CallbackReceiver
) -> None:
    corner.operator()
    name = send(corner, status=receiver.url, model="https://store/models?sig=SECRET")
    assert len(secrets(corner)) == 1
    delete(corner, name)
    wait_gone(corner)
    (said,) = receiver.posts
    assert (said["state"], said["job"]) == ("cancelled", name)
    assert "deleted before its training ended" in said["message"]


def test_a_deletion_while_the_operator_is_down_is_told_when_it_is_back(
    corner: Corner, receiver: CallbackReceiver
) -> None:
    operator = corner.operator()
    name = send(corner, status=receiver.url)
    operator.sigkill()
    delete(corner, name)
    assert len(corner.trainingjobs()) == 1
    assert receiver.posts == []
    corner.operator()
    wait_gone(corner)
    assert [post["state"] for post in receiver.posts] == ["cancelled"]


def test_without_a_callback_nothing_holds_it(corner: Corner) -> None:
    operator = corner.operator()
    name = send(corner)
    operator.sigkill()
    delete(corner, name)
    wait_gone(corner)


def test_an_ended_training_whose_callback_was_told_is_held_by_nothing(
    corner: Corner, receiver: CallbackReceiver
) -> None:
    operator = corner.operator()
    name = send(corner, status=receiver.url)
    assert corner.kubectl.get("trainingjob", name)["metadata"]["finalizers"] == [FINALIZER]
    corner.end_pod(corner.pods()[0]["metadata"]["name"], 65, json.dumps({"reason": "BadAnnotations", "message": "No."}))
    corner.wait_condition("CallbackDelivered")

    def released() -> bool:
        return "finalizers" not in corner.kubectl.get("trainingjob", name)["metadata"]

    wait_until("no finalizer", released, dump=corner.picture)
    operator.sigkill()
    delete(corner, name)
    wait_gone(corner)
    assert [post["state"] for post in receiver.posts] == ["failed"]


def test_one_made_by_hand_gets_its_finalizer_before_its_job(corner: Corner, receiver: CallbackReceiver) -> None:
    corner.operator()
    corner.create_trainingjob("mine", callback={"url": receiver.url})
    corner.wait_pod()
    assert corner.kubectl.get("trainingjob", "mine")["metadata"]["finalizers"] == [FINALIZER]
    delete(corner, "mine")
    wait_gone(corner)
    assert [post["state"] for post in receiver.posts] == ["cancelled"]
