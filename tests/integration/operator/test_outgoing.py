"""The rules for outgoing requests, applied to messages and callbacks: the operator as a process, with a real API server."""

import json
import socket
from typing import Any

import pytest

from demo.callbacks import CallbackReceiver
from tests.support.examples import BAD_ANNOTATIONS, message
from tests.support.operator_harness import LOCAL, OperatorHarness, condition
from tests.support.waiting import wait_until
from vott_operator.app import WORKERS

REJECTED = WORKERS + 8
METADATA = "https://169.254.169.254/latest/meta-data"


@pytest.mark.parametrize(
    "fields",
    [
        {"annotations": f"{METADATA}?sig=TOPSECRET"},
        {"model": f"{METADATA}?sig=TOPSECRET"},
        {"parameters": {"initialWeights": f"{METADATA}?sig=TOPSECRET"}},
        {"parameters": {"imagesUrl": METADATA}},
    ],
    ids=["annotations", "model", "weights", "images"],
)
def test_a_message_with_a_refused_address_fails_without_a_pod_and_its_callback_gets_the_reason(
    harness: OperatorHarness, receiver: CallbackReceiver, fields: dict[str, Any]
) -> None:
    harness.operator()
    harness.send(message(status=receiver.url, **fields))
    failed = harness.wait_phase("Failed")
    failure = condition(failed, "Failed") or {}
    assert failure["reason"] == "AddressRefused"
    assert "169.254.169.254 is refused: that address is link-local" in failure["message"]
    harness.wait_condition("CallbackDelivered")
    ((state, text),) = [(post["state"], post["message"]) for post in receiver.posts]
    assert (state, text) == ("failed", failure["message"])
    assert (harness.kubectl.list("jobs"), harness.pods()) == ([], [])
    assert "AddressRefused" in harness.kubectl("get", "events")
    assert "TOPSECRET" not in json.dumps(failed) + harness.log.read_text() + harness.kubectl("get", "events")


@pytest.mark.parametrize("harness", [{"callbacks": {"timeoutSeconds": 3600}}], ids=["patient"], indirect=True)
def test_silent_callbacks_of_rejected_messages_delay_no_outcome(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    harness.operator()
    harness.send(message(status=receiver.url))
    pod = harness.wait_pod()
    harness.run_pod(pod)
    with socket.create_server(("127.0.0.1", 0), backlog=REJECTED) as silent:
        for _ in range(REJECTED):
            harness.send({"status": f"http://127.0.0.1:{silent.getsockname()[1]}/"})
        wait_until("all rejections", lambda: harness.log.read_text().count(" rejected: ") == REJECTED)
        harness.end_pod(pod, 64, json.dumps(BAD_ANNOTATIONS))
        harness.wait_condition("CallbackDelivered")
    assert [post["state"] for post in receiver.posts] == ["failed"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("https://169.254.169.254/?token=TOPSECRET", "169.254.169.254 is refused: that address is link-local"),
        ("https://localhost:6443/?token=TOPSECRET", "localhost (127.0.0.1) is refused: that address is loopback"),
        ("http://example.org/?token=TOPSECRET", "http://example.org is refused: only https is allowed here"),
    ],
)
@pytest.mark.parametrize("harness", [{"outgoing": {}}], ids=["the chart's defaults"], indirect=True)
def test_a_refused_callback_does_not_stop_the_training_and_its_condition_has_address_and_rule(
    harness: OperatorHarness, status: str, error: str
) -> None:
    harness.operator()
    harness.send(message(status=status))
    harness.end_pod(harness.wait_pod(), 65, json.dumps(BAD_ANNOTATIONS))
    refused = harness.wait_condition("CallbackDelivered", "False")
    assert refused["reason"] == "Refused"
    assert error in refused["message"]
    assert refused["message"].endswith("It will not be tried again.")
    assert condition(harness.wait_phase("Failed"), "Failed") == condition(harness.trainingjobs()[0], "Failed")
    assert "CallbackGivenUp" in harness.kubectl("get", "events")
    assert "TOPSECRET" not in json.dumps(harness.trainingjobs()) + harness.log.read_text()


@pytest.mark.parametrize("harness", [{"outgoing": {}}], ids=["the chart's defaults"], indirect=True)
def test_a_rejected_messages_callback_to_an_internal_address_is_refused(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    harness.operator()
    harness.send({"status": receiver.url})
    wait_until("a poison message", harness.poison, dump=harness.diagnostics)
    assert receiver.posts == []
    assert "callback not delivered" in harness.log.read_text()


@pytest.mark.parametrize(
    "harness",
    [
        {
            "outgoing": LOCAL | {"hosts": ["minio.store"]},
            "trainer": {"image": "t", "modelStore": {"containers": ["own"], "secretName": "own"}},
        }
    ],
    indirect=True,
)
def test_the_pods_get_the_same_rules_and_the_log_shows_them(harness: OperatorHarness) -> None:
    harness.operator()
    harness.send(
        message(model="http://10.0.0.9:10000/account/own")
    )  # a listed container, which only the trainer can know
    harness.wait_pod()
    (pod,) = harness.pods()
    variables = {item["name"]: item.get("value", "") for item in pod["spec"]["containers"][0]["env"]}
    assert variables["VOTT_ALLOW_HTTP"] == "true"
    assert variables["VOTT_PUBLIC_ADDRESSES"] == "true"
    assert variables["VOTT_ALLOWED_HOSTS"] == "minio.store"
    assert variables["VOTT_ALLOWED_NETWORKS"] == "127.0.0.0/8"
    assert "http and https, to public addresses, minio.store, 127.0.0.0/8" in harness.log.read_text()


def test_invalid_rules_stop_the_operator_with_a_sentence(harness: OperatorHarness) -> None:
    with pytest.raises(
        AssertionError, match=r"outgoing\.hosts\[0\] 'http://minio\.store:9000' is not a host name: use"
    ):
        harness.operator(VOTT_TRAIN_OUTGOING__HOSTS='["http://minio.store:9000"]')
    assert "Traceback" not in harness.log.read_text()
