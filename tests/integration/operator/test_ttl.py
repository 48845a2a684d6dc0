"""A TrainingJob that is deleted by its TTL does not reopen the door to the message that brought it."""

import time

import pytest

from tests.support.corner import Corner, condition
from tests.support.queue_proxy import QueueProxy
from tests.support.waiting import wait_until

MESSAGE = {"annotations": "https://host/a.csv", "model": "https://store/models?sig=S"}
MODEL = {"url": "https://store/models/model.tgz", "sha256": "ab" * 32, "sizeBytes": 1234}
TTL = {"ttlSecondsAfterFinished": 2}
corner_with_ttl = pytest.mark.parametrize("corner", [TTL], indirect=True, ids=["ttl of 2 s"])


def train(corner: Corner) -> str:
    """Play the one training to its good end; its name."""
    pod = corner.wait_pod()
    corner.run_pod(pod)
    name = str(corner.wait_phase("Running")["metadata"]["name"])
    assert corner.report(pod, name, {"model": MODEL}).ok
    corner.end_pod(pod, 0)
    return name


@corner_with_ttl
def test_a_finished_trainingjob_goes_with_all_that_it_made(corner: Corner) -> None:
    corner.operator()
    corner.send(MESSAGE)
    name = train(corner)
    wait_until("no TrainingJob", lambda: not corner.trainingjobs(), seconds=60, dump=corner.picture)
    owned = ("jobs", "pods", "secrets")
    wait_until("nothing of it", lambda: not any(corner.kubectl.list(kind, "vott.dev/trainingjob") for kind in owned))
    assert f"{name}: deleted" in corner.log.read_text()


@corner_with_ttl
def test_it_stays_until_its_message_is_gone(corner: Corner) -> None:
    queue_service = f"http://127.0.0.1:{corner.azurite.queue_port}/devstoreaccount1"
    corner.queue()
    with QueueProxy("127.0.0.1", queue_service) as proxy:
        proxied = corner.azurite.connection_string.replace(queue_service, proxy.url)
        first = corner.operator(AZURE_STORAGE_CONNECTION_STRING=proxied)
        with proxy.holding_deletes():
            sent = corner.send(MESSAGE)
            train(corner)
            complete = corner.wait_phase("Complete")
            time.sleep(3 * TTL["ttlSecondsAfterFinished"])
            first.sigkill()
        assert condition(complete, "MessageSettled") is None
        assert len(corner.trainingjobs()) == 1
        # The message comes back to the next operator, finds its TrainingJob and goes; only then the TrainingJob goes, too.
        corner.operator(AZURE_STORAGE_CONNECTION_STRING=proxied)
        wait_until("an empty queue", lambda: corner.waiting_messages() == 0, seconds=60, dump=corner.picture)
        wait_until("no TrainingJob", lambda: not corner.trainingjobs(), seconds=60, dump=corner.picture)
        assert len(proxy.receipts(sent)) == 2
        assert "created" not in corner.log.read_text().rpartition("this operator leads")[2]
