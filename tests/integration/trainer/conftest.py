"""Fixtures of the trainer's integration tests: Azurite, a model archive, an empty run, address rules and DNS."""

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from localcluster.azurite import Azurite
from localcluster.pki import Authority
from tests.integration.trainer.fake_resolver import FakeResolver
from tests.integration.trainer.model_archives import ARCHIVE_CONTENT
from tests.integration.trainer.outgoing_requests import WITHOUT_DELAY
from tests.support.azurite_account import AzuriteAccount
from tests.support.server_fixtures import server as server
from tests.support.server_fixtures import unused_url as unused_url
from tests.support.trainer_process import local_servers_allowed
from vott_guard.rules import Rules
from vott_trainer.plugin_api import Links
from vott_trainer.progress.progress import Progress
from vott_trainer.training_run import TrainingRun


@pytest.fixture(scope="package", autouse=True)
def _own_servers() -> Iterator[None]:
    with local_servers_allowed():
        yield


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """A certificate authority that REQUESTS_CA_BUNDLE trusts."""
    trusted = Authority(tmp_path / "pki")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted.certificate))
    return trusted


@pytest.fixture
def https_azurite(authority: Authority) -> Iterator[Azurite]:
    """Azurite over https, which accepts Entra's tokens."""
    with Azurite(authority=authority) as azurite:
        yield azurite


@pytest.fixture(scope="session")
def account() -> Iterator[AzuriteAccount]:
    """The account of a running Azurite."""
    with Azurite() as azurite:
        yield AzuriteAccount(azurite.connection_string)


@pytest.fixture
def container(account: AzuriteAccount) -> ContainerClient:
    """An empty container."""
    return account.create_container(f"models-{uuid.uuid4().hex}")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A model archive to upload."""
    path = tmp_path / "model.tgz"
    path.write_bytes(ARCHIVE_CONTENT)
    return path


@pytest.fixture
def run(tmp_path: Path) -> TrainingRun:
    """A training run without URLs."""
    return TrainingRun(Links("", "", None), tmp_path / "work", Progress())


@pytest.fixture
def connection_attempts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The addresses that sockets tried to connect to; every connection is refused."""
    addresses: list[object] = []

    def connect(_socket: socket.socket, address: object) -> None:
        addresses.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return addresses


@pytest.fixture
def default_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow only the addresses that the chart's defaults allow."""
    for name, value in Rules().to_environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def no_retry_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without a delay."""
    monkeypatch.setattr("azure.core.pipeline.transport.RequestsTransport.sleep", lambda *_: None)
    monkeypatch.setattr("vott_trainer.file_download.RetryPolicy", lambda: WITHOUT_DELAY)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> FakeResolver:
    """The resolver in place of the system's."""
    fake = FakeResolver()
    monkeypatch.setattr(socket, "getaddrinfo", fake)
    return fake
