"""Azurite, a Service Bus broker, a callback receiver, and messages that they train from."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from demo.callbacks import CallbackReceiver
from localcluster.azurite import Azurite
from tests.support.azurite_account import AzuriteAccount
from tests.support.service_bus_broker import ServiceBusBroker
from tests.support.traind_process import TraindProcess

ANNOTATIONS = b"https://images.example.com/1.jpg,1,1,10,10,cat\nhttps://images.example.com/2.jpg,1,1,10,10,dog\n"

numbers = itertools.count(1)

StartDaemon = Callable[..., TraindProcess]


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture(scope="session")
def broker() -> Iterator[ServiceBusBroker]:
    with ServiceBusBroker() as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    with CallbackReceiver("127.0.0.1") as running:
        yield running


@pytest.fixture
def container(azurite: Azurite) -> ContainerClient:
    """A container for models and annotations."""
    return AzuriteAccount(azurite.connection_string).create_container(f"models-{next(numbers)}")


@pytest.fixture
def message(azurite: Azurite, container: ContainerClient, receiver: CallbackReceiver) -> Callable[..., str]:
    """Writes a message of VoTT; its model goes to a folder of the container named `model`."""
    account = AzuriteAccount(azurite.connection_string)
    container.upload_blob("annotations.csv", ANNOTATIONS)

    def write(model: str = "m", *, plugin: str = "hello-world", **parameters: object) -> str:
        urls = {
            "annotations": account.blob_sas_url(container, "annotations.csv", permissions="r"),
            "model": account.container_sas_url(container, f"/{model}", permissions="rcwdl"),
            "status": f"{receiver.url}?token=callback-secret",
        }
        return json.dumps(urls | {"plugin": plugin, "parameters": parameters})

    return write


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts a daemon, which is killed at the end."""
    with ExitStack() as stack:

        def run(environment: dict[str, str], *arguments: str, folder: Path = tmp_path) -> TraindProcess:
            daemon = TraindProcess(folder, environment, *arguments)
            stack.callback(daemon.wait)
            stack.callback(daemon.kill)
            return daemon

        yield run
