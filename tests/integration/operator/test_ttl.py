"""A TrainingJob deleted by its TTL is not recreated by its message."""

import re
import time

import pytest

from tests.support.examples import REPORTED_MODEL
from tests.support.operator_harness import OperatorHarness, condition
from tests.support.queue_proxy import QueueProxy
from tests.support.waiting import wait_until

MESSAGE = {"annotations": "https://host/a.csv", "model": "https://store/models?sig=S"}
TTL = {"ttlSecondsAfterFinished": 2}
with_ttl = pytest.mark.parametrize("harness", [TTL], indirect=True, ids=["ttl of 2 s"])


def train(harness: OperatorHarness) -> str:
    """Run the only training to success; return its name."""
    pod = harness.wait_pod()
    harness.run_pod(pod)
    name = str(harness.wait_phase("Running")["metadata"]["name"])
    assert harness.report(pod, name, {"model": REPORTED_MODEL}).ok
    harness.end_pod(pod, 0)
    return name


@with_ttl
def test_a_finished_trainingjob_and_its_dependents_are_deleted_after_the_ttl(harness: OperatorHarness) -> None:
    harness.operator()
    harness.send(MESSAGE)
    name = train(harness)
    wait_until("no TrainingJob", lambda: not harness.trainingjobs(), seconds=60, dump=harness.diagnostics)
    owned = ("jobs", "pods", "secrets")
    wait_until("no dependents", lambda: not any(harness.kubectl.list(kind, "vott.dev/trainingjob") for kind in owned))
    assert re.search(
        rf"deleted by ttlSecondsAfterFinished trainingJob=\S+/{name}$", harness.log.read_text(), re.MULTILINE
    )


@with_ttl
def test_a_finished_trainingjob_is_kept_until_its_message_is_settled(harness: OperatorHarness) -> None:
    queue_service = f"http://127.0.0.1:{harness.azurite.queue_port}/devstoreaccount1"
    harness.queue()
    with QueueProxy("127.0.0.1", queue_service) as proxy:
        proxied = harness.azurite.connection_string.replace(queue_service, proxy.url)
        first = harness.operator(AZURE_STORAGE_CONNECTION_STRING=proxied)
        with proxy.holding_deletes():
            sent = harness.send(MESSAGE)
            train(harness)
            complete = harness.wait_phase("Complete")
            time.sleep(3 * TTL["ttlSecondsAfterFinished"])
            first.sigkill()
        assert condition(complete, "MessageSettled") is None
        assert len(harness.trainingjobs()) == 1
        # The next operator receives the message again, finds its TrainingJob and settles it; only then is the TrainingJob deleted.
        harness.operator(AZURE_STORAGE_CONNECTION_STRING=proxied)
        wait_until("an empty queue", lambda: harness.waiting_messages() == 0, seconds=60, dump=harness.diagnostics)
        wait_until("no TrainingJob", lambda: not harness.trainingjobs(), seconds=60, dump=harness.diagnostics)
        assert len(proxy.receipts(sent)) == 2
        assert "created" not in harness.log.read_text().rpartition("this operator leads")[2]
