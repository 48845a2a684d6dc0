"""From a message to its outcome callback: the operator as a process, with a real API server, Job controller and Azurite."""

import base64
import json
import signal
from typing import Any

import pytest

from demo.callbacks import CallbackReceiver
from tests.support.examples import BAD_ANNOTATIONS, REPORTED_MODEL, message
from tests.support.operator_harness import OperatorHarness, condition
from tests.support.waiting import wait_until
from vott_operator.cluster.rest import PAGE_SIZE

PROGRESS = {
    "percent": 50, "epochCurrent": 1, "epochTotal": 2, "stepCurrent": 9, "stepTotal": 10, "classificationLoss": 0.25,
}  # fmt: skip
SECRET = "sig=TOPSECRET"


class BusyReceiver(CallbackReceiver):
    """Responds with 503 while it is busy."""

    busy = True

    def receive(self, path: str, body: bytes) -> int:
        return 503 if self.busy else super().receive(path, body)


def last_post(receiver: CallbackReceiver) -> dict[str, Any]:
    return wait_until("a callback", lambda: receiver.posts[-1] if receiver.posts else None, seconds=60)


def wait_job(harness: OperatorHarness, type_: str) -> None:
    """Wait until the only Job has this terminal condition."""

    def probe() -> bool:
        return any(condition(job, type_) for job in harness.kubectl.list("jobs"))

    wait_until(f"a Job that is {type_}", probe, seconds=60, dump=harness.diagnostics)


@pytest.mark.parametrize("encode", [str, lambda text: base64.b64encode(text.encode()).decode()], ids=["raw", "base64"])
def test_a_message_becomes_a_trainingjob_a_secret_and_a_job_and_is_settled(
    harness: OperatorHarness, encode: Any
) -> None:
    harness.operator()
    sent = harness.send(encode(json.dumps(message(model=f"https://store/models?{SECRET}", plugin="hello-world"))))
    harness.wait_pod()
    (trainingjob,) = harness.trainingjobs()
    (job,) = harness.kubectl.list("jobs")
    name = trainingjob["metadata"]["name"]
    assert trainingjob["metadata"]["annotations"]["vott.dev/message-id"] == sent
    assert trainingjob["spec"]["plugin"] == "hello-world"
    assert "TOPSECRET" not in json.dumps(trainingjob) + json.dumps(job)
    secret = harness.kubectl.get("secret", f"{name}-urls")
    assert "TOPSECRET" in base64.b64decode(secret["data"]["model"]).decode()
    assert {job["metadata"]["name"], job["metadata"]["ownerReferences"][0]["name"]} == {name}
    wait_until("an empty queue", lambda: harness.waiting_messages() == 0)
    assert "TOPSECRET" not in harness.log.read_text()


def test_a_training_is_followed_to_its_model_and_its_outcome_callback(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    harness.operator()
    harness.send(message(status=receiver.url))
    pod = harness.wait_pod()
    harness.run_pod(pod)
    name = harness.wait_phase("Running")["metadata"]["name"]
    assert harness.report(pod, name, {"progress": PROGRESS}).ok
    table = harness.kubectl("get", "trainingjobs").splitlines()
    assert table[0].split() == ["NAME", "STATUS", "PROGRESS", "EPOCH", "LOSS", "STALLED", "CALLBACK", "AGE"]
    assert table[1].split()[:5] == [name, "Running", "50", "1", "0.25"]
    assert harness.report(pod, name, {"progress": PROGRESS | {"percent": 100}, "model": REPORTED_MODEL}).ok
    harness.end_pod(pod, 0)
    complete = harness.wait_phase("Complete")
    outcome = last_post(receiver)
    assert (outcome["state"], outcome["progress"], outcome["job"], outcome["epoch_current"]) == (
        "succeeded",
        1.0,
        name,
        1,
    )
    harness.wait_condition("CallbackDelivered")
    assert REPORTED_MODEL["url"] in (condition(complete, "Complete") or {})["message"]
    assert "TrainingSucceeded" in harness.kubectl("describe", "trainingjob", name)
    assert len(receiver.posts) == 1
    assert "Retrying" not in harness.kubectl("get", "events")


def test_a_training_is_complete_only_after_its_model_is_reported(harness: OperatorHarness) -> None:
    harness.operator()
    harness.send(message())
    pod = harness.wait_pod()
    harness.end_pod(pod, 0)
    wait_job(harness, "Complete")
    name = harness.trainingjobs()[0]["metadata"]["name"]
    assert harness.trainingjobs()[0]["status"]["phase"] == "Pending"
    assert harness.report(pod, name, {"model": REPORTED_MODEL}).ok
    harness.wait_phase("Complete")


def test_a_permanent_failure_has_the_trainers_message_and_is_not_retried(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    harness.operator()
    harness.send(message(status=receiver.url))
    harness.end_pod(harness.wait_pod(), 65, json.dumps(BAD_ANNOTATIONS))
    failed = condition(harness.wait_phase("Failed"), "Failed") or {}
    assert (failed["reason"], failed["message"]) == (BAD_ANNOTATIONS["reason"], BAD_ANNOTATIONS["message"])
    assert (last_post(receiver)["state"], last_post(receiver)["message"]) == ("failed", BAD_ANNOTATIONS["message"])
    assert len(harness.pods()) == 1


def test_a_temporary_failure_is_retried_with_a_condition(harness: OperatorHarness) -> None:
    harness.operator()
    harness.send(message())
    harness.end_pod(harness.wait_pod(), 1)
    waiting = wait_until("the retry", lambda: condition(harness.trainingjobs()[0], "Running"), dump=harness.diagnostics)
    assert (waiting["reason"], waiting["status"]) == ("Retrying", "False")
    harness.run_pod(harness.wait_pod(2))
    assert harness.wait_phase("Running")["status"]["restarts"] == 1


@pytest.mark.parametrize(
    ("body", "reason", "sentence"),
    [
        ("{not json", "NotJSON", "not valid JSON"),
        ('{"model": "https://h/m"}', "InvalidMessage", 'Field "annotations" is missing'),
        (json.dumps(message(model="ftp://h/m")), "InvalidMessage", 'Field "model" is not an http(s) or s3 URL'),
        (
            json.dumps(message(plugin="rm")),
            "PluginNotAllowed",
            "choose one of detection, classification, segmentation, hello-world",
        ),
    ],
)
def test_an_invalid_message_is_dead_lettered_with_its_reason(
    harness: OperatorHarness, body: str, reason: str, sentence: str
) -> None:
    harness.operator()
    sent = harness.send(body)
    (poison,) = wait_until("a poison message", harness.poison, dump=harness.diagnostics)
    assert (poison["reason"], poison["messageId"], poison["body"], poison["queue"]) == (
        reason,
        sent,
        body,
        harness.name,
    )
    assert sentence in poison["message"]
    wait_until("an empty queue", lambda: harness.waiting_messages() == 0)
    assert harness.trainingjobs() == []


def test_kubectl_shows_a_stalled_training_and_an_undelivered_callback(harness: OperatorHarness) -> None:
    """Without an operator: what is shown is the API server's work."""
    harness.create_trainingjob("cats", "dogs")
    shown = {
        "cats": ("Running", "Stalled", "True", "NoProgress"),
        "dogs": ("Failed", "CallbackDelivered", "False", "Retrying"),
    }
    for name, (phase, type_, status, reason) in shown.items():
        now = "2026-01-01T00:00:00Z"
        found = {"type": type_, "status": status, "reason": reason, "message": "m", "lastTransitionTime": now}
        patch = {"status": {"phase": phase, "conditions": [found]}}
        options = ["--subresource=status", "--type=merge", "--patch", json.dumps(patch)]
        harness.kubectl("patch", "trainingjob", name, *options)
    header, cats, dogs = harness.kubectl("get", "tj").splitlines()
    stalled, callback, age = (header.index(name) for name in ("STALLED", "CALLBACK", "AGE"))
    assert (cats[stalled:callback].strip(), cats[callback:age].strip()) == ("True", "")
    assert (dogs[stalled:callback].strip(), dogs[callback:age].strip()) == ("", "Retrying")


def test_the_callback_of_a_rejected_message_gets_the_reason(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    harness.operator()
    harness.send({"status": receiver.url})
    outcome = last_post(receiver)
    assert outcome["state"] == "failed"
    assert 'Field "model" is missing' in outcome["message"]


def test_an_undelivered_outcome_survives_a_restart_of_the_operator(harness: OperatorHarness) -> None:
    operator = harness.operator()
    with BusyReceiver("127.0.0.1") as receiver:
        harness.send(message(status=receiver.url))
        harness.end_pod(harness.wait_pod(), 64, json.dumps(BAD_ANNOTATIONS))
        undelivered = harness.wait_condition("CallbackDelivered", "False")
        assert undelivered["reason"] == "Retrying"
        assert "answered 503" in undelivered["message"]
        operator.send_signal(signal.SIGKILL)
        operator.wait()
        receiver.busy = False
        harness.operator()
        assert last_post(receiver)["state"] == "failed"
        assert harness.wait_condition("CallbackDelivered")["reason"] == "Delivered"


def test_a_failure_while_the_operator_is_down_has_the_trainers_message(harness: OperatorHarness) -> None:
    operator = harness.operator()
    harness.send(message())
    pod = harness.wait_pod()
    operator.kill()
    operator.wait()
    harness.end_pod(pod, 65, json.dumps(BAD_ANNOTATIONS))
    wait_job(harness, "Failed")
    harness.operator()
    assert (condition(harness.wait_phase("Failed"), "Failed") or {})["message"] == BAD_ANNOTATIONS["message"]


def test_a_restart_of_the_operator_does_not_change_a_running_training(harness: OperatorHarness) -> None:
    operator = harness.operator()
    harness.send(message())
    harness.run_pod(harness.wait_pod())
    before = harness.wait_phase("Running")
    operator.kill()
    operator.wait()
    harness.operator()
    harness.create_trainingjob("later")
    wait_until("the Job of `later`", lambda: len(harness.kubectl.list("jobs")) == 2, dump=harness.diagnostics)
    after = harness.kubectl.get("trainingjob", before["metadata"]["name"])
    assert after["status"] == before["status"]
    assert "Retrying" not in harness.kubectl("get", "events")


def test_a_job_of_another_owner_fails_the_training(harness: OperatorHarness) -> None:
    harness.operator()
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}}
    spec = {"suspend": True, "template": template}
    harness.kubectl.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "mine"}, "spec": spec})
    harness.create_trainingjob("mine")
    assert harness.wait_phase("Failed")["status"]["reason"] == "JobNameTaken"


def test_a_missing_secret_is_a_condition(harness: OperatorHarness) -> None:
    harness.operator()
    harness.create_trainingjob("mine", urlSecretRef={"name": "forgotten"})
    running = harness.wait_condition("Running", "False", seconds=60)
    assert running["reason"] == "ContainerConfigError"
    assert "Secret forgotten" in running["message"]


def test_malformed_messages_do_not_stop_the_intake(harness: OperatorHarness) -> None:
    harness.operator()
    harness.send({"status": "https://a..b/"})
    harness.send(message(parameters=json.loads('{"a":' * 500 + "1" + "}" * 500)))
    wait_until("both in the poison queue", lambda: len(harness.poison()) == 2, dump=harness.diagnostics)
    harness.send(message(annotations="https://host/@scope/a@1.0.csv"))
    harness.wait_pod()


@pytest.mark.parametrize("harness", [{"maxUnfinishedJobs": 1}], indirect=True)
def test_messages_stay_in_the_queue_without_capacity(harness: OperatorHarness) -> None:
    harness.operator()
    for _ in range(3):
        harness.send(message())
    pod = harness.wait_pod()
    wait_until("the first message settled", lambda: harness.waiting_messages() < 3, dump=harness.diagnostics)
    assert (len(harness.trainingjobs()), harness.waiting_messages()) == (1, 2)
    harness.end_pod(pod, 64)
    wait_until("the next TrainingJob", lambda: len(harness.trainingjobs()) == 2, dump=harness.diagnostics)


def test_a_trainingjob_without_a_message_trains_and_its_dependents_are_deleted_with_it(
    harness: OperatorHarness,
) -> None:
    harness.operator()
    harness.create_trainingjob("mine")
    harness.wait_pod()
    harness.kubectl("delete", "trainingjob", "mine")
    wait_until("no Job", lambda: not harness.kubectl.list("jobs"), dump=harness.diagnostics)


def test_trainingjobs_on_all_pages_of_a_list_are_handled(harness: OperatorHarness) -> None:
    names = [f"t-{number}" for number in range(PAGE_SIZE + 10)]
    harness.create_trainingjob(*names, suspend=True)
    harness.operator()
    wait_until(
        "a Job of each", lambda: len(harness.kubectl.list("jobs")) == len(names), seconds=60, dump=harness.diagnostics
    )


def test_suspending_stops_the_training_and_resuming_restarts_it(harness: OperatorHarness) -> None:
    harness.operator()
    harness.send(message())
    harness.wait_pod()
    name = harness.trainingjobs()[0]["metadata"]["name"]
    harness.kubectl("patch", "trainingjob", name, "--type=merge", "--patch", '{"spec": {"suspend": true}}')
    harness.wait_phase("Suspended")
    wait_until("no pod", lambda: not harness.pods(), seconds=60, dump=harness.diagnostics)
    harness.kubectl("patch", "trainingjob", name, "--type=merge", "--patch", '{"spec": {"suspend": false}}')
    harness.run_pod(harness.wait_pod())
    assert (condition(harness.wait_phase("Running"), "Suspended") or {})["status"] == "False"


def test_an_outage_of_the_api_server_loses_and_dead_letters_no_message(harness: OperatorHarness) -> None:
    harness.operator()
    harness.control_plane.kill("kube-apiserver")
    try:
        harness.send(message())
        wait_until("an attempt", lambda: "did not answer" in harness.log.read_text(), dump=harness.log.read_text)
    finally:  # the other tests need it
        harness.control_plane.restart("kube-apiserver")
    harness.wait_pod()
    assert len(harness.trainingjobs()) == 1
    assert harness.poison() == []


def test_a_terminated_operator_exits_with_0(harness: OperatorHarness) -> None:
    operator = harness.operator()
    operator.terminate()
    assert operator.wait(60) == 0


def test_invalid_settings_stop_the_operator_with_a_sentence(harness: OperatorHarness) -> None:
    with pytest.raises(
        AssertionError, match="AZURE_STORAGE_CONNECTION_STRING is not a storage account's connection string"
    ):
        harness.operator(AZURE_STORAGE_CONNECTION_STRING="nonsense")
    assert "Traceback" not in harness.log.read_text()
