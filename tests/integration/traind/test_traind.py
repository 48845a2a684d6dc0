"""The daemon against real queue services: what becomes of a message, and what the daemon shows."""

import base64
import json
import os
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from localcluster.azurite import ACCOUNT_KEY, Azurite
from localcluster.ports import free_ports
from tests.integration.traind.bench import CALLBACK_SECRET, Bench, attempts
from tests.support.azure_queues import AzureQueue, AzuriteQueue, BrokerQueue
from tests.support.service_bus_broker import ServiceBusBroker

KEY = f"whsec_{base64.b64encode(b'callback' * 4).decode()}"
THIEF = """
import os, sys
from pathlib import Path

def readable(path):
    try:
        return Path(path).read_bytes()[:20] or b"-"
    except OSError:
        return None

processes = [name for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]
secrets = [path for path in os.environ["WANTED"].split(",") if readable(path)]
environments = [name for name in processes if b"AZURE" in (readable(f"/proc/{name}/environ") or b"")]
print("stolen:", secrets, environments, [name for name in os.environ if "AZURE" in name], flush=True)
sys.exit(65)
"""


@pytest.fixture(params=["storage", "serviceBus"])
def queue(request: pytest.FixtureRequest, azurite: Azurite, broker: ServiceBusBroker) -> AzureQueue:
    return AzuriteQueue(azurite) if request.param == "storage" else BrokerQueue(broker)


@pytest.fixture
def storage_queue(azurite: Azurite) -> AzuriteQueue:
    return AzuriteQueue(azurite)


def test_a_message_is_trained_and_settled_and_its_callback_gets_progress_and_outcome(
    queue: AzureQueue, bench: Bench
) -> None:
    daemon = bench.start(queue)
    queue.send(bench.message())
    bench.wait("the outcome", bench.outcomes, daemon)
    bench.wait_settled(queue, daemon)
    assert bench.has_model()
    assert bench.outcomes() == ["succeeded"]
    (job,) = {post["job"] for post in bench.posts()}
    assert job.startswith("vott-")
    assert bench.posts()[0]["state"] == "running"
    assert bench.posts()[-1]["progress"] == 1.0
    assert "/cats/model.tgz" in bench.posts()[-1]["message"]
    assert queue.dead_letters() == []
    assert daemon.stop() == 0
    written = [daemon.log, *(file for file in daemon.state.rglob("*") if file.is_file())]
    assert not [file for file in written if CALLBACK_SECRET in file.read_text() or "sig=" in file.read_text()]


def test_messages_that_cannot_be_trained_are_put_aside_with_the_reason_and_their_callbacks_know(
    queue: AzureQueue, bench: Bench
) -> None:
    daemon = bench.start(queue)
    bodies = [
        "no JSON",
        bench.message("unknown", plugin="unknown"),
        bench.message("empty", annotations=b"nothing\n"),
        bench.message("good"),
    ]
    queue.send(*bodies)
    bench.wait("all outcomes", lambda: all(map(bench.outcomes, ("unknown", "empty", "good"))), daemon)
    bench.wait_settled(queue, daemon)
    assert sorted(queue.dead_letters()) == sorted(bodies[:3])
    assert [bench.outcomes(name) for name in ("unknown", "empty", "good")] == [["failed"], ["failed"], ["succeeded"]]
    assert "is not allowed here" in bench.posts("unknown")[-1]["message"]
    assert "line 1" in bench.posts("empty")[-1]["message"]
    assert attempts(daemon) == 2


def test_variables_of_the_first_vott_train_are_enough(
    azurite: Azurite, storage_queue: AzuriteQueue, bench: Bench
) -> None:
    legacy: dict[str, Any] = {"AZURE_STORAGE_QUEUE_NAME": storage_queue.name, "VOTT_TRAIN_PLUGIN": "hello-world"}
    legacy |= {"AZURE_STORAGE_ACCOUNT_NAME": azurite.queue_service, "AZURE_STORAGE_KEY": ACCOUNT_KEY}
    daemon = bench.start(**legacy)
    body = json.loads(bench.message())
    storage_queue.send(json.dumps({name: body[name] for name in ("annotations", "model", "status")}))
    bench.wait("the outcome", bench.outcomes, daemon)
    bench.wait_settled(storage_queue, daemon)
    assert bench.has_model()


def test_two_queues_are_consumed_by_one_daemon(
    storage_queue: AzuriteQueue, broker: ServiceBusBroker, bench: Bench
) -> None:
    other = BrokerQueue(broker)
    daemon = bench.start(storage_queue, other)
    storage_queue.send(bench.message("first"))
    other.send(bench.message("second"))
    bench.wait("both outcomes", lambda: bench.outcomes("first") and bench.outcomes("second"), daemon)
    for queue in (storage_queue, other):
        bench.wait_settled(queue, daemon)
    assert (bench.has_model("first"), bench.has_model("second")) == (True, True)


def test_signed_callbacks_come_from_the_daemon_alone(storage_queue: AzuriteQueue, bench: Bench) -> None:
    (keys := bench.folder / "keys").mkdir()
    (keys / "current").write_text(KEY)
    daemon = bench.start(storage_queue, VOTT_TRAIN_CALLBACKS__SIGNING_DIR=str(keys))
    storage_queue.send(bench.message(steps=10, stepSeconds=0.2))
    bench.wait("the outcome", bench.outcomes, daemon)
    requests_ = [request for request in bench.receiver.requests if request.path == "/cats"]
    bodies = [Webhook(KEY).verify(request.body, request.headers) for request in requests_]
    assert [body["state"] for body in bodies] == ["running"] * (len(bodies) - 1) + ["succeeded"]
    assert len(bodies) > 1
    assert len({request.headers["webhook-id"] for request in requests_}) == len(bodies)


def test_a_script_reads_no_credentials_and_no_other_training(storage_queue: AzuriteQueue, bench: Bench) -> None:
    (credentials := bench.folder / "credentials").mkdir()
    (plugins := bench.folder / "plugins").mkdir()
    (credentials / "AZURE_STORAGE_CONNECTION_STRING").write_text(
        storage_queue.environment["AZURE_STORAGE_CONNECTION_STRING"]
    )
    (settings := bench.folder / "settings.yaml").write_text("logLevel: INFO")
    wanted = [credentials / "AZURE_STORAGE_CONNECTION_STRING", bench.folder / "state/lock", settings]
    (plugins / "thief.py").write_text(
        f"WANTED = {','.join(map(str, wanted))!r}\n" + THIEF.replace('os.environ["WANTED"]', "WANTED")
    )
    storage_queue.settings["credentialsDir"] = os.path.relpath(credentials)  # not the trainer's working folder
    daemon = bench.start(
        storage_queue,
        VOTT_TRAIN_CONFIG=os.path.relpath(settings),
        VOTT_PLUGINS=str(plugins),
        VOTT_TRAIN_PLUGINS__ALLOWED='["thief", "detection"]',
        AZURE_SERVICE_BUS_CONNECTION_STRING="AZURE-secret-of-another-queue",
    )
    storage_queue.send(bench.message(plugin="thief"))
    bench.wait("the outcome", bench.outcomes, daemon)
    assert "stolen: [] [] []" in daemon.log.read_text()


@pytest.mark.parametrize("other", ["state", "work"])
def test_a_second_daemon_with_the_same_state_or_work_is_refused(
    other: str, storage_queue: AzuriteQueue, bench: Bench
) -> None:
    (port,) = free_ports(1)
    first = bench.start(storage_queue, arguments=(f"--http=127.0.0.1:{port}",))
    bench.wait("a working daemon", lambda: _get(port, "healthz").ok, first)
    second = bench.start(storage_queue, arguments=(f"--{other}={bench.folder / 'other'}",))
    assert second.wait(60) == os.EX_USAGE
    shared = bench.folder / ("work/vott-traind" if other == "state" else "state")
    assert f"another daemon uses {shared};" in second.log.read_text()


def test_metrics_count_messages_and_trainings(storage_queue: AzuriteQueue, bench: Bench) -> None:
    (port,) = free_ports(1)
    daemon = bench.start(storage_queue, arguments=(f"--http=127.0.0.1:{port}",))
    storage_queue.send(bench.message(), "no JSON")
    bench.wait_settled(storage_queue, daemon)
    bench.wait("the outcome", bench.outcomes, daemon)
    # counted once the queue's answer has arrived
    bench.wait("the rejection", lambda: 'result="dead_lettered"} 1.0' in _get(port, "metrics").text, daemon)
    metrics = _get(port, "metrics").text
    assert 'vott_train_trainings_total{outcome="succeeded",plugin="hello-world"} 1.0' in metrics
    assert "vott_train_slots 1.0" in metrics


def _get(port: int, page: str) -> requests.Response:
    try:
        return requests.get(f"http://127.0.0.1:{port}/{page}", timeout=10)
    except requests.ConnectionError:
        response = requests.Response()
        response.status_code = 503
        return response
