"""Signed callbacks, from the Secret with the keys to a receiver that verifies them with the Standard Webhooks library."""

import base64
import json
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.examples import REPORTED_MODEL
from tests.support.operator_harness import OperatorHarness
from tests.support.raw_callback_receiver import RawCallbackReceiver
from tests.support.waiting import wait_until

KEYS = {name: f"whsec_{base64.b64encode(name.encode() * 8).decode()}" for name in ("older", "newer", "other")}
SECRET = "callback-keys"
SIGNED = [{"callbacks": {"timeoutSeconds": 10, "signing": {"secretName": SECRET}}}]

signed = pytest.mark.parametrize("harness", SIGNED, ids=["signing"], indirect=True)


def progress(percent: int, **fields: Any) -> dict[str, Any]:
    return {"progress": {"percent": percent, "epochCurrent": 1, "epochTotal": 2, "classificationLoss": 0.25} | fields}


def set_keys(harness: OperatorHarness, **names: str) -> None:
    """Write keys to the Secret; `current="older"` makes the older key the current one."""
    harness.change_secret(SECRET, **{file: KEYS[name] for file, name in names.items()})


def train(harness: OperatorHarness, url: str) -> tuple[str, str]:
    """Start a training with credentials in its callback and model URLs; return its pod and name."""
    harness.send({"annotations": "https://host/a.csv", "model": "https://store/m?sig=S", "status": f"{url}?token=T"})
    pod = harness.wait_pod()
    harness.run_pod(pod)
    return pod, str(harness.wait_phase("Running")["metadata"]["name"])


@signed
def test_with_signing_the_operator_posts_all_callbacks_from_progress_to_outcome(
    harness: OperatorHarness,
) -> None:
    set_keys(harness, current="older")
    harness.operator()
    with RawCallbackReceiver("127.0.0.1") as receiver:
        pod, name = train(harness, receiver.url)
        (training_pod,) = harness.pods()
        assert "--status" not in training_pod["spec"]["containers"][0]["args"]
        (urls,) = [volume["secret"] for volume in training_pod["spec"]["volumes"] if volume["name"] == "urls"]
        assert [item["key"] for item in urls["items"]] == ["annotations", "model"]
        assert harness.report(pod, name, progress(50)).ok
        wait_until("a report", lambda: receiver.posts, dump=harness.diagnostics)
        assert harness.report(pod, name, progress(90, epochCurrent=2)).ok
        wait_until("the next report", lambda: len(receiver.posts) == 2, dump=harness.diagnostics)
        assert harness.report(pod, name, progress(100) | {"model": REPORTED_MODEL}).ok
        harness.end_pod(pod, 0)
        harness.wait_condition("CallbackDelivered")
        webhook = Webhook(KEYS["older"])
        bodies = [webhook.verify(body, headers) for headers, body in receiver.received]
    posted = [(body["state"], body["progress"], body["epoch_current"], body["job"]) for body in bodies]
    assert posted[:2] == [("running", 0.5, 1, name), ("running", 0.9, 2, name)]
    assert posted[-1] == ("succeeded", 1.0, 1, name)
    assert {state for state, *_ in posted[:-1]} == {"running"}
    ids = [headers["webhook-id"] for headers, _ in receiver.received]
    assert len(set(ids)) == len(ids)
    text = harness.log.read_text()
    assert KEYS["older"] not in text
    assert "token=T" not in text


@signed
def test_during_a_key_rotation_callbacks_are_signed_with_both_keys(harness: OperatorHarness) -> None:
    set_keys(harness, current="older")
    harness.operator()
    with RawCallbackReceiver("127.0.0.1") as receiver:
        pod, name = train(harness, receiver.url)
        assert harness.report(pod, name, progress(10)).ok
        wait_until("a report", lambda: receiver.posts, dump=harness.diagnostics)
        set_keys(harness, current="newer", previous="older")
        assert harness.report(pod, name, progress(20)).ok
        wait_until("the next report", lambda: len(receiver.posts) == 2, dump=harness.diagnostics)
        harness.end_pod(pod, 64, json.dumps({"reason": "InvalidParameters", "message": "No."}))
        harness.wait_condition("CallbackDelivered")
        (old_headers, old_body), *later_posts = receiver.received
    assert Webhook(KEYS["older"]).verify(old_body, old_headers)["progress"] == 0.1
    with pytest.raises(WebhookVerificationError):
        Webhook(KEYS["newer"]).verify(old_body, old_headers)
    for headers, body in later_posts:
        assert Webhook(KEYS["older"]).verify(body, headers) == Webhook(KEYS["newer"]).verify(body, headers)
    assert json.loads(later_posts[-1][1])["state"] == "failed"
    with pytest.raises(WebhookVerificationError):
        Webhook(KEYS["other"]).verify(old_body, old_headers)


@signed
def test_a_changed_body_time_or_id_fails_verification(harness: OperatorHarness) -> None:
    set_keys(harness, current="older")
    harness.operator()
    with RawCallbackReceiver("127.0.0.1") as receiver:
        harness.send({"status": receiver.url})  # the callback of a rejected message is signed too
        wait_until("a callback", lambda: receiver.posts, dump=harness.diagnostics)
        ((headers, body),) = receiver.received
    webhook = Webhook(KEYS["older"])
    assert webhook.verify(body, headers)["state"] == "failed"
    stale = headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 3600)}
    later = headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
    other_id = headers | {"webhook-id": "another"}
    for changed_headers, changed_body in [
        (headers, body.replace(b"failed", b"succeeded")),
        (stale, body),
        (later, body),
        (other_id, body),
    ]:
        with pytest.raises(WebhookVerificationError):
            webhook.verify(changed_body, changed_headers)


def test_without_keys_the_trainer_posts_its_progress(harness: OperatorHarness) -> None:
    harness.operator()
    with RawCallbackReceiver("127.0.0.1") as receiver:
        pod, name = train(harness, receiver.url)
        assert "--status" in harness.pods()[0]["spec"]["containers"][0]["args"]
        assert harness.report(pod, name, progress(50)).ok
        harness.end_pod(pod, 64, json.dumps({"reason": "InvalidParameters", "message": "No."}))
        harness.wait_condition("CallbackDelivered")
        assert [post["state"] for post in receiver.posts] == ["failed"]
        assert "webhook-signature" not in receiver.received[0][0]


@signed
def test_an_invalid_key_at_startup_blocks_only_callbacks_until_it_is_fixed(harness: OperatorHarness) -> None:
    harness.change_secret(SECRET, current="whsec_TOPSECRET")
    operator = harness.operator()
    operator.wait_ready(ready=False)
    with RawCallbackReceiver("127.0.0.1") as receiver:
        pod, _ = train(harness, receiver.url)
        harness.end_pod(pod, 64, json.dumps({"reason": "InvalidParameters", "message": "No."}))
        delivered = harness.wait_condition("CallbackDelivered", "False")
        assert "callbacks.signing: key 1 is not a signing key" in delivered["message"]
        assert receiver.posts == []
        set_keys(harness, current="older")
        harness.wait_condition("CallbackDelivered", seconds=60)
        for headers, body in receiver.received:
            assert Webhook(KEYS["older"]).verify(body, headers)["state"] == "failed"
    operator.wait_ready()
    text = harness.log.read_text()
    assert (
        "ERROR   vott_operator.health.monitor: no callback is sent until this is fixed: callbacks.signing: key 1"
        in text
    )
    assert "TOPSECRET" not in text
    assert "Traceback" not in text


@signed
def test_a_secret_without_a_required_url_is_a_condition(harness: OperatorHarness) -> None:
    set_keys(harness, current="older")
    harness.operator()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "mine"},
        "stringData": {"callback": "https://h/s"},
    }
    harness.kubectl.apply(secret)
    harness.create_trainingjob("mine", urlSecretRef={"name": "mine"}, callback={"url": "https://h/s"})
    running = harness.wait_condition("Running", "False", seconds=60)
    assert running["reason"] == "ContainerConfigError"
    assert "Secret mine (spec.urlSecretRef) lacks annotations, model" in running["message"]
