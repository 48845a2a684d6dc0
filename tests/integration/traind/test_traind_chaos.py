"""Twenty messages, a daemon that is killed ten times, and a queue that restarts: each message is trained once, or put aside once."""

import json
import random
import re
import signal
import time
from pathlib import Path

import pytest

from tests.integration.traind.bench import Bench
from tests.support.azure_queues import BrokerQueue
from tests.support.service_bus_broker import QueueOptions, ServiceBusBroker
from tests.support.traind_process import TraindProcess

KILLS = 10
RESTARTS_OF_THE_QUEUE = (3, 7)
"""After so many kills."""
PLUGIN = """
from vott_trainer.plugins.hello_world import HelloWorld

class Plugin(HelloWorld):
    pass
"""
SCRIPT = """
import sys, urllib.request
model = sys.argv[sys.argv.index("--model") + 1]
base, _, sas = model.partition("?")
request = urllib.request.Request(base + "/model.tgz?" + sas, b"x" * 1000, {"x-ms-blob-type": "BlockBlob"}, method="PUT")
urllib.request.urlopen(request, timeout=60).close()
"""
GOOD = ["hello-world"] * 8 + ["own-class"] * 4 + ["script"] * 3


@pytest.mark.parametrize("seed", [7])
def test_each_message_is_trained_once_or_put_aside_whatever_is_killed(
    seed: int, broker: ServiceBusBroker, bench: Bench
) -> None:
    chance = random.Random(seed)
    queue = BrokerQueue(broker)
    broker.add_queue(queue.name, QueueOptions(lock_seconds=5, max_delivery_count=1000))
    good = {f"good-{number}": bench.message(f"good-{number}", plugin=plugin) for number, plugin in enumerate(GOOD)}
    bad = {
        "unknown": bench.message("unknown", plugin="unknown"),
        "parameters": bench.message("parameters", epochs="many"),
        "annotations": bench.message("annotations", annotations=b"nothing\n"),
        "empty": bench.message("empty", annotations=b""),
    }
    bodies = [*good.values(), *bad.values(), "no JSON"]
    chance.shuffle(bodies)
    queue.send(*bodies)

    for kill in range(1, KILLS + 1):
        daemon = _start(bench, queue)
        time.sleep(chance.uniform(1, 12))
        if kill in RESTARTS_OF_THE_QUEUE:
            broker.kill()
        if chance.random() < 0.6:
            daemon.sigkill()
        else:
            assert daemon.stop() in (0, -signal.SIGTERM), daemon.log.read_text()  # killed, if it does not listen yet
        if kill in RESTARTS_OF_THE_QUEUE:
            broker.restart()
    daemon = _start(bench, queue)
    bench.wait_settled(queue, daemon, seconds=600)
    bench.wait("all outcomes", lambda: all(map(bench.outcomes, [*good, *bad])), daemon)
    assert daemon.stop() == 0

    assert sorted(queue.dead_letters()) == sorted([*bad.values(), "no JSON"])
    assert [name for name in good if not bench.has_model(name)] == []
    assert {name: set(bench.outcomes(name)) for name in good} == {name: {"succeeded"} for name in good}
    assert {name: set(bench.outcomes(name)) for name in bad} == {name: {"failed"} for name in bad}
    assert _webhook_ids_of_outcomes(bench) == dict.fromkeys([*good, *bad], 1)
    assert _delivered(daemon.state) == set(_names(bench, good))
    assert _trained_after_success(daemon.log) == []


def _start(bench: Bench, queue: BrokerQueue) -> TraindProcess:
    plugins = bench.folder / "plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / "own-class.py").write_text(PLUGIN)
    (plugins / "script.py").write_text(SCRIPT)
    return bench.start(
        queue,
        VOTT_PLUGINS=str(plugins),
        VOTT_TRAIN_PLUGINS__ALLOWED='["hello-world", "own-class", "script", "detection"]',
        VOTT_TRAIN_TRAINER__TERMINATION_GRACE_PERIOD_SECONDS="20",
    )


def _names(bench: Bench, messages: dict[str, str]) -> list[str]:
    """The names of the trainings, from their callbacks."""
    return [name for message in messages for name in {post["job"] for post in bench.posts(message)}]


def _webhook_ids_of_outcomes(bench: Bench) -> dict[str, int]:
    """How many different outcomes each callback got: a repeated one has the id of the first."""
    ids: dict[str, set[str]] = {}
    for request in bench.receiver.requests:
        if json.loads(request.body)["state"] != "running":
            ids.setdefault(request.path.removeprefix("/"), set()).add(request.headers["webhook-id"])
    return {name: len(found) for name, found in ids.items()}


def _delivered(state: Path) -> set[str]:
    """The trainings that delivered a model. Perhaps twice: SIGTERM may arrive before the trainer has reported it."""
    logs = state.glob("trainings/*/trainer.log")
    return {log.parent.name for log in logs if "model uploaded: " in log.read_text()}


def _trained_after_success(log: Path) -> list[str]:
    """The trainings that started again after they had succeeded, from the log of all daemons."""
    succeeded: set[str] = set()
    again = []
    for name, event in re.findall(r'"message": "(\S+): (training|succeeded)\b', log.read_text()):
        if event == "succeeded":
            succeeded.add(name)
        elif name in succeeded:
            again.append(name)
    assert succeeded
    return again
