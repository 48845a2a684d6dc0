"""From a message to its last word: the operator as a process, on a real API server, with the Job controller and Azurite."""

import base64
import json
import signal
from typing import Any

import pytest

from demo.callbacks import CallbackReceiver
from tests.support.corner import Corner, condition
from tests.support.waiting import wait_until
from vott_operator.cluster.client import PAGE

MODEL = {"url": "https://store/models/model.tgz", "sha256": "ab" * 32, "sizeBytes": 1234}
PROGRESS = {
    "percent": 50, "epochCurrent": 1, "epochTotal": 2, "stepCurrent": 9, "stepTotal": 10, "classificationLoss": 0.25,
}  # fmt: skip
BAD_LINE = {"reason": "BadAnnotations", "message": "a.csv line 7: expected 6 fields, found 4. Correct the line."}
SECRET = "sig=TOPSECRET"


class BusyReceiver(CallbackReceiver):
    """Answers 503 while it is busy."""

    busy = True

    def receive(self, path: str, body: bytes) -> int:
        return 503 if self.busy else super().receive(path, body)


def message(**fields: Any) -> dict[str, Any]:
    return {"annotations": "https://host/a.csv", "model": "https://store/models"} | fields


def last_post(receiver: CallbackReceiver) -> dict[str, Any]:
    return wait_until("a callback", lambda: receiver.posts[-1] if receiver.posts else None, seconds=60)


def wait_job(corner: Corner, ended: str) -> None:
    """Wait until the Job controller has said of the only Job that it ended so."""

    def probe() -> bool:
        return any(condition(job, ended) for job in corner.kubectl.list("jobs"))

    wait_until(f"a Job that is {ended}", probe, seconds=60, dump=corner.picture)


@pytest.mark.parametrize("encode", [str, lambda text: base64.b64encode(text.encode()).decode()], ids=["raw", "base64"])
def test_a_message_becomes_a_trainingjob_a_secret_and_a_job_and_is_settled(corner: Corner, encode: Any) -> None:
    corner.operator()
    sent = corner.send(encode(json.dumps(message(model=f"https://store/models?{SECRET}", plugin="hello-world"))))
    corner.wait_pod()
    (trainingjob,) = corner.trainingjobs()
    (job,) = corner.kubectl.list("jobs")
    name = trainingjob["metadata"]["name"]
    assert trainingjob["metadata"]["annotations"]["vott.dev/message-id"] == sent
    assert trainingjob["spec"]["plugin"] == "hello-world"
    assert "TOPSECRET" not in json.dumps(trainingjob) + json.dumps(job)
    secret = corner.kubectl.get("secret", f"{name}-urls")
    assert "TOPSECRET" in base64.b64decode(secret["data"]["model"]).decode()
    assert {job["metadata"]["name"], job["metadata"]["ownerReferences"][0]["name"]} == {name}
    wait_until("an empty queue", lambda: corner.waiting_messages() == 0)
    assert "TOPSECRET" not in corner.log.read_text()


def test_a_training_is_followed_to_its_model_and_the_callback_has_the_last_word(
    corner: Corner, receiver: CallbackReceiver
) -> None:
    corner.operator()
    corner.send(message(status=receiver.url))
    pod = corner.wait_pod()
    corner.run_pod(pod)
    name = corner.wait_phase("Running")["metadata"]["name"]
    assert corner.report(pod, name, {"progress": PROGRESS}).ok
    table = corner.kubectl("get", "trainingjobs").splitlines()
    assert table[0].split() == ["NAME", "STATUS", "PROGRESS", "EPOCH", "LOSS", "PLUGIN", "AGE"]
    assert table[1].split()[:6] == [name, "Running", "50", "1", "0.25", "detection"]
    assert corner.report(pod, name, {"progress": PROGRESS | {"percent": 100}, "model": MODEL}).ok
    corner.end_pod(pod, 0)
    complete = corner.wait_phase("Complete")
    said = last_post(receiver)
    assert (said["state"], said["progress"], said["job"], said["epoch_current"]) == ("succeeded", 1.0, name, 1)
    corner.wait_condition("CallbackDelivered")
    assert MODEL["url"] in (condition(complete, "Complete") or {})["message"]
    assert "TrainingSucceeded" in corner.kubectl("describe", "trainingjob", name)
    assert len(receiver.posts) == 1
    assert "Retrying" not in corner.kubectl("get", "events")


def test_complete_waits_for_the_models_report(corner: Corner) -> None:
    corner.operator()
    corner.send(message())
    pod = corner.wait_pod()
    corner.end_pod(pod, 0)
    wait_job(corner, "Complete")
    name = corner.trainingjobs()[0]["metadata"]["name"]
    assert corner.trainingjobs()[0]["status"]["phase"] == "Pending"
    assert corner.report(pod, name, {"model": MODEL}).ok
    corner.wait_phase("Complete")


def test_a_permanent_failure_is_told_in_the_trainers_words_and_not_tried_again(
    corner: Corner, receiver: CallbackReceiver
) -> None:
    corner.operator()
    corner.send(message(status=receiver.url))
    corner.end_pod(corner.wait_pod(), 65, json.dumps(BAD_LINE))
    failed = condition(corner.wait_phase("Failed"), "Failed") or {}
    assert (failed["reason"], failed["message"]) == (BAD_LINE["reason"], BAD_LINE["message"])
    assert (last_post(receiver)["state"], last_post(receiver)["message"]) == ("failed", BAD_LINE["message"])
    assert len(corner.pods()) == 1


def test_a_fault_is_tried_again_and_said(corner: Corner) -> None:
    corner.operator()
    corner.send(message())
    corner.end_pod(corner.wait_pod(), 1)
    waiting = wait_until("the retry", lambda: condition(corner.trainingjobs()[0], "Running"), dump=corner.picture)
    assert (waiting["reason"], waiting["status"]) == ("Retrying", "False")
    corner.run_pod(corner.wait_pod(2))
    assert corner.wait_phase("Running")["status"]["restarts"] == 1


@pytest.mark.parametrize(
    ("body", "reason", "sentence"),
    [
        ("{not json", "NotJSON", "not valid JSON"),
        ('{"model": "https://h/m"}', "InvalidMessage", 'Field "annotations" is missing'),
        (json.dumps(message(model="ftp://h/m")), "InvalidMessage", 'Field "model" is not an http(s) or s3 URL'),
        (json.dumps(message(plugin="rm")), "PluginNotAllowed", "choose one of detection, classification, hello-world"),
    ],
)
def test_a_bad_message_is_put_aside_with_its_reason(corner: Corner, body: str, reason: str, sentence: str) -> None:
    corner.operator()
    sent = corner.send(body)
    (poison,) = wait_until("a poison message", corner.poison, dump=corner.picture)
    assert (poison["reason"], poison["messageId"], poison["body"], poison["queue"]) == (reason, sent, body, corner.name)
    assert sentence in poison["message"]
    wait_until("an empty queue", lambda: corner.waiting_messages() == 0)
    assert corner.trainingjobs() == []


def test_a_rejected_message_tells_its_callback(corner: Corner, receiver: CallbackReceiver) -> None:
    corner.operator()
    corner.send({"status": receiver.url})
    said = last_post(receiver)
    assert said["state"] == "failed"
    assert 'Field "model" is missing' in said["message"]


def test_the_last_word_survives_a_restart_of_the_operator(corner: Corner) -> None:
    operator = corner.operator()
    with BusyReceiver("127.0.0.1") as receiver:
        corner.send(message(status=receiver.url))
        corner.end_pod(corner.wait_pod(), 64, json.dumps(BAD_LINE))
        undelivered = corner.wait_condition("CallbackDelivered", "False")
        assert undelivered["reason"] == "Retrying"
        assert "answered 503" in undelivered["message"]
        operator.send_signal(signal.SIGKILL)
        operator.wait()
        receiver.busy = False
        corner.operator()
        assert last_post(receiver)["state"] == "failed"
        assert corner.wait_condition("CallbackDelivered")["reason"] == "Delivered"


def test_a_failure_while_the_operator_is_down_is_told_in_the_trainers_words(corner: Corner) -> None:
    operator = corner.operator()
    corner.send(message())
    pod = corner.wait_pod()
    operator.kill()
    operator.wait()
    corner.end_pod(pod, 65, json.dumps(BAD_LINE))
    wait_job(corner, "Failed")
    corner.operator()
    assert (condition(corner.wait_phase("Failed"), "Failed") or {})["message"] == BAD_LINE["message"]


def test_a_restart_of_the_operator_leaves_a_running_training_alone(corner: Corner) -> None:
    operator = corner.operator()
    corner.send(message())
    corner.run_pod(corner.wait_pod())
    before = corner.wait_phase("Running")
    operator.kill()
    operator.wait()
    corner.operator()
    corner.create_trainingjob("later")
    wait_until("the later one's Job", lambda: len(corner.kubectl.list("jobs")) == 2, dump=corner.picture)
    after = corner.kubectl.get("trainingjob", before["metadata"]["name"])
    assert after["status"] == before["status"]
    assert "Retrying" not in corner.kubectl("get", "events")


def test_a_job_of_somebody_else_is_said(corner: Corner) -> None:
    corner.operator()
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}}
    spec = {"suspend": True, "template": template}
    corner.kubectl.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "mine"}, "spec": spec})
    corner.create_trainingjob("mine")
    assert corner.wait_phase("Failed")["status"]["reason"] == "JobNameTaken"


def test_a_missing_secret_is_said(corner: Corner) -> None:
    corner.operator()
    corner.create_trainingjob("mine", urlSecretRef={"name": "forgotten"})
    said = corner.wait_condition("Running", "False", seconds=60)
    assert said["reason"] == "ContainerConfigError"
    assert "Secret forgotten" in said["message"]


def test_no_message_stops_the_others(corner: Corner) -> None:
    corner.operator()
    corner.send({"status": "https://a..b/"})
    corner.send(message(parameters=json.loads('{"a":' * 500 + "1" + "}" * 500)))
    wait_until("both put aside", lambda: len(corner.poison()) == 2, dump=corner.picture)
    corner.send(message(annotations="https://host/@scope/a@1.0.csv"))
    corner.wait_pod()


@pytest.mark.parametrize("corner", [{"maxUnfinishedJobs": 1}], indirect=True)
def test_the_queue_is_the_buffer_while_enough_is_unfinished(corner: Corner) -> None:
    corner.operator()
    for _ in range(3):
        corner.send(message())
    pod = corner.wait_pod()
    wait_until("the first message settled", lambda: corner.waiting_messages() < 3, dump=corner.picture)
    assert (len(corner.trainingjobs()), corner.waiting_messages()) == (1, 2)
    corner.end_pod(pod, 64)
    wait_until("the next one", lambda: len(corner.trainingjobs()) == 2, dump=corner.picture)


def test_a_trainingjob_by_hand_trains_and_takes_its_children_along(corner: Corner) -> None:
    corner.operator()
    corner.create_trainingjob("mine")
    corner.wait_pod()
    corner.kubectl("delete", "trainingjob", "mine")
    wait_until("no Job", lambda: not corner.kubectl.list("jobs"), dump=corner.picture)


def test_more_trainingjobs_than_a_page_of_a_list_holds_are_all_found(corner: Corner) -> None:
    names = [f"t-{number}" for number in range(PAGE + 10)]
    corner.create_trainingjob(*names, suspend=True)
    corner.operator()
    wait_until("a Job of each", lambda: len(corner.kubectl.list("jobs")) == len(names), seconds=60, dump=corner.picture)


def test_suspend_stops_it_and_resume_starts_it_again(corner: Corner) -> None:
    corner.operator()
    corner.send(message())
    corner.wait_pod()
    name = corner.trainingjobs()[0]["metadata"]["name"]
    corner.kubectl("patch", "trainingjob", name, "--type=merge", "--patch", '{"spec": {"suspend": true}}')
    corner.wait_phase("Suspended")
    wait_until("no pod", lambda: not corner.pods(), seconds=60, dump=corner.picture)
    corner.kubectl("patch", "trainingjob", name, "--type=merge", "--patch", '{"spec": {"suspend": false}}')
    corner.run_pod(corner.wait_pod())
    assert (condition(corner.wait_phase("Running"), "Suspended") or {})["status"] == "False"


def test_an_api_server_that_is_away_loses_and_poisons_nothing(corner: Corner) -> None:
    corner.operator()
    corner.control_plane.kill("kube-apiserver")
    try:
        corner.send(message())
        wait_until("an attempt", lambda: "did not answer" in corner.log.read_text(), dump=corner.log.read_text)
    finally:  # the other tests need it, however this one ends
        corner.control_plane.restart("kube-apiserver")
    corner.wait_pod()
    assert len(corner.trainingjobs()) == 1
    assert corner.poison() == []


def test_an_operator_that_is_stopped_ends_well(corner: Corner) -> None:
    operator = corner.operator()
    operator.terminate()
    assert operator.wait(60) == 0


def test_wrong_settings_end_the_operator_with_a_sentence(corner: Corner) -> None:
    with pytest.raises(AssertionError, match="AZURE_STORAGE_CONNECTION_STRING is not a connection string"):
        corner.operator(AZURE_STORAGE_CONNECTION_STRING="nonsense")
    assert "Traceback" not in corner.log.read_text()
