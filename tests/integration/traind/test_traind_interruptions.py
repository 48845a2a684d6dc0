"""The daemon is stopped, killed, or loses its lock while it trains: nothing is lost, and nothing is trained twice to the end."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from localcluster.azurite import Azurite
from tests.integration.traind.bench import Bench, attempts, unsettled
from tests.support.azure_queues import AzureQueue, AzuriteQueue, BrokerQueue
from tests.support.http_server import Answer
from tests.support.queue_proxy import QueueProxy
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from tests.support.waiting import wait_until
from vott_traind.processes import ProcessId

LONG: dict[str, Any] = {"epochs": 1, "steps": 20, "stepSeconds": 1.0}
"""Parameters of a training of 20 seconds."""


@pytest.fixture(params=["storage", "serviceBus"])
def queue(request: pytest.FixtureRequest, azurite: Azurite, broker: ServiceBusBroker) -> AzureQueue:
    return AzuriteQueue(azurite) if request.param == "storage" else BrokerQueue(broker)


@pytest.fixture
def short_locks(broker: ServiceBusBroker) -> BrokerQueue:
    queue = BrokerQueue(broker)
    broker.add_queue(queue.name, QueueOptions(lock_seconds=3))
    return queue


def test_sigterm_gives_the_message_back_and_a_restart_trains_it(queue: AzureQueue, bench: Bench) -> None:
    queue.send(bench.message(**LONG))
    first = bench.start(queue)
    bench.wait("a running training", bench.posts, first)
    assert first.stop() == 0
    assert (queue.waiting() != [], bench.outcomes(), bench.has_model()) == (True, [], False)
    second = bench.start(queue)
    bench.wait("the outcome", bench.outcomes, second)
    bench.wait_settled(queue, second)
    assert bench.outcomes() == ["succeeded"]
    assert len({post["job"] for post in bench.posts()}) == 1
    assert attempts(second) == 2


def test_a_killed_daemon_takes_its_trainer_along_and_the_next_one_trains(
    short_locks: BrokerQueue, bench: Bench
) -> None:
    short_locks.send(bench.message(**LONG))
    first = bench.start(short_locks)
    bench.wait("a running training", bench.posts, first)
    trainer = _trainer(bench.folder)
    first.sigkill()
    wait_until("the end of its trainer", lambda: not trainer.is_running, seconds=60)  # before the next one looks for it
    second = bench.start(short_locks)
    bench.wait("the outcome", bench.outcomes, second)
    bench.wait_settled(short_locks, second)
    assert bench.outcomes() == ["succeeded"]


def test_a_trainer_that_outlives_its_daemon_is_killed_by_the_next_one(short_locks: BrokerQueue, bench: Bench) -> None:
    short_locks.send(bench.message(**LONG))
    grace: dict[str, Any] = {"VOTT_TRAIN_TRAINER__TERMINATION_GRACE_PERIOD_SECONDS": "1"}
    first = bench.start(short_locks, **grace)
    bench.wait("a running training", bench.posts, first)
    trainer = _trainer(bench.folder)
    os.kill(trainer.pid, signal.SIGSTOP)  # it can't act on SIGTERM
    first.sigkill()
    assert trainer.is_running
    second = bench.start(short_locks, **grace)
    bench.wait("another training", lambda: attempts(second) == 2, second)
    assert not trainer.is_running


def _trainer(folder: Path) -> ProcessId:
    (file,) = folder.glob("state/trainings/*/process.json")
    process = ProcessId.read(file)
    assert process is not None
    return process


def test_a_lock_shorter_than_the_training_is_kept(short_locks: BrokerQueue, bench: Bench) -> None:
    short_locks.send(bench.message(**LONG))
    daemon = bench.start(short_locks)
    bench.wait("a running training", bench.posts, daemon)
    (message,) = short_locks.broker.messages(short_locks.name)
    assert message.delivery_count == 0
    bench.wait("the outcome", bench.outcomes, daemon)
    bench.wait_settled(short_locks, daemon)
    assert attempts(daemon) == 1
    assert "lost" not in daemon.log.read_text(), daemon.log.read_text()


def test_a_message_whose_lock_was_lost_is_settled_by_the_recorded_outcome(
    short_locks: BrokerQueue, bench: Bench
) -> None:
    short_locks.send(bench.message(**LONG))
    daemon = bench.start(short_locks)
    bench.wait("a running training", bench.posts, daemon)
    with short_locks.broker.dead():
        bench.wait("a lost lock", lambda: "the queue will deliver it again" in daemon.log.read_text(), daemon)
    bench.wait("the outcome", bench.outcomes, daemon)
    bench.wait_settled(short_locks, daemon)
    assert attempts(daemon) == 1
    assert bench.outcomes() == ["succeeded"]
    assert short_locks.dead_letters() == []


def test_a_daemon_killed_between_outcome_and_settlement_trains_no_second_time(azurite: Azurite, bench: Bench) -> None:
    queue = AzuriteQueue(azurite)
    with QueueProxy("127.0.0.1", azurite.queue_service) as proxy:
        direct = azurite.connection_string
        queue.environment = {"AZURE_STORAGE_CONNECTION_STRING": direct.replace(azurite.queue_service, proxy.url)}
        queue.send(bench.message())
        with proxy.holding_deletes():
            first = bench.start(queue)
            bench.wait("an attempt to settle", lambda: proxy.held, first)
            first.sigkill()
        assert unsettled(queue) == 1
        second = bench.start(queue)
        bench.wait_settled(queue, second)
    assert attempts(second) == 1
    bench.wait("the outcome", bench.outcomes, second)
    assert bench.outcomes()[-1] == "succeeded"


def test_an_outcome_that_was_not_delivered_is_posted_after_a_restart(azurite: Azurite, bench: Bench) -> None:
    queue = AzuriteQueue(azurite)
    body = bench.message()
    bench.receiver.always["/cats"] = Answer(503)
    queue.send(body, bench.message("dogs"))
    first = bench.start(queue)
    bench.wait("the other outcome", lambda: bench.outcomes("dogs"), first)  # it is not held up
    bench.wait_settled(queue, first)
    first.sigkill()
    del bench.receiver.always["/cats"]
    before = len(bench.outcomes())
    second = bench.start(queue)
    bench.wait("the outcome", lambda: len(bench.outcomes()) > before, second)
    bench.wait("a delivered outcome", lambda: "the callback accepted the outcome" in second.log.read_text(), second)
    assert set(bench.outcomes()) == {"succeeded"}
