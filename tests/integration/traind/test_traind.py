"""The daemon against a real queue service: what becomes of a message."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from demo.callbacks import CallbackReceiver
from localcluster.azurite import ACCOUNT, ACCOUNT_KEY, Azurite
from tests.integration.traind.conftest import StartDaemon
from tests.support.azure_queues import AzureQueue, AzuriteQueue, BrokerQueue
from tests.support.azurite_account import blob_names
from tests.support.service_bus_broker import ServiceBusBroker
from tests.support.traind_process import TraindProcess
from tests.support.waiting import wait_until

Message = Callable[..., str]


@pytest.fixture(params=["storage", "serviceBus"])
def queue(request: pytest.FixtureRequest, azurite: Azurite, broker: ServiceBusBroker) -> AzureQueue:
    return AzuriteQueue(azurite) if request.param == "storage" else BrokerQueue(broker)


def environment_of(*queues: AzureQueue) -> dict[str, str]:
    """The settings of a daemon that consumes these queues, as variables."""
    variables = {name: value for queue in queues for name, value in queue.environment.items()}
    return variables | {"VOTT_TRAIN_QUEUES": json.dumps([queue.settings for queue in queues])}


def wait_for(what: str, probe: Callable[[], object], daemon: TraindProcess, seconds: float = 90) -> None:
    """Wait until `probe` is true; fail with the daemon's log, also if it ends."""

    def check() -> bool:
        assert daemon.poll() is None, daemon.log.read_text()
        return bool(probe())

    wait_until(what, check, seconds=seconds, dump=daemon.log.read_text)


def settled(queue: AzureQueue) -> Callable[[], bool]:
    return lambda: not queue.waiting() and _is_empty(queue)


def _is_empty(queue: AzureQueue) -> bool:
    if isinstance(queue, AzuriteQueue):
        return not queue.queue.get_queue_properties().approximate_message_count
    assert isinstance(queue, BrokerQueue)
    counts = queue.broker.counts(queue.name)
    return not counts.active + counts.locked


def test_a_message_is_trained_and_settled_and_its_callback_gets_progress_and_outcome(
    queue: AzureQueue, start: StartDaemon, message: Message, receiver: CallbackReceiver, container: ContainerClient
) -> None:
    daemon = start(environment_of(queue))
    queue.send(message("cats"))
    wait_for("the outcome", lambda: receiver.last_state == "succeeded", daemon)
    wait_for("a settled message", settled(queue), daemon)
    assert "cats/model.tgz" in blob_names(container)
    (job,) = {post["job"] for post in receiver.posts}
    assert [post["state"] for post in receiver.posts].count("succeeded") == 1
    assert receiver.posts[0]["state"] == "running"
    assert receiver.posts[-1]["progress"] == 1.0
    assert "/cats/model.tgz" in receiver.posts[-1]["message"]
    assert job.startswith("vott-")
    assert queue.dead_letters() == []
    assert daemon.stop() == 0
    assert "callback-secret" not in daemon.log.read_text()
