"""Azurite, a Service Bus broker, a callback receiver, and messages that a daemon trains."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localcluster.azurite import Azurite
from tests.integration.traind.bench import Bench
from tests.support.azurite_account import AzuriteAccount
from tests.support.http_server import HttpServer
from tests.support.service_bus_broker import ServiceBusBroker

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture(scope="session")
def broker() -> Iterator[ServiceBusBroker]:
    with ServiceBusBroker() as running:
        yield running


@pytest.fixture
def bench(azurite: Azurite, tmp_path: Path) -> Iterator[Bench]:
    """Daemons of one state folder, which are killed at the end, and what their messages need."""
    account = AzuriteAccount(azurite.connection_string)
    container = account.create_container(f"models-{next(numbers)}")
    with HttpServer() as receiver, ExitStack() as stack:
        yield Bench(tmp_path, account, container, receiver, stack)
