"""A store, an HTTP server, and the trainer as a program."""

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)

from localcluster.azurite import Azurite
from localcluster.pki import Authority
from tests.integration.trainer.fake_resolver import FakeResolver
from tests.integration.trainer.outgoing_requests import WITHOUT_DELAY
from tests.support.server_fixtures import server as server
from tests.support.server_fixtures import unused_url as unused_url
from tests.support.trainer_process import ALLOWED, PYTHONPATH, local_servers_allowed
from vott_guard.rules import Rules

CONTENT = b"weights" * 1000


@dataclass(frozen=True)
class Store:
    """An account in Azurite, and links into it."""

    connection_string: str

    @property
    def service(self) -> BlobServiceClient:
        """The account, with its key."""
        return BlobServiceClient.from_connection_string(self.connection_string)

    def container(self, name: str) -> ContainerClient:
        """A new container."""
        return self.service.create_container(name)

    def container_link(self, container: ContainerClient, prefix: str = "", *, permissions: str = "rcwl") -> str:
        """A SAS of a container, optionally with a prefix."""
        sas = generate_container_sas(
            str(self.service.account_name),
            container.container_name,
            account_key=self._key,
            permission=ContainerSasPermissions.from_string(permissions),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return f"{container.url}{prefix}?{sas}"

    def blob_link(self, container: ContainerClient, blob: str, *, permissions: str = "cw") -> str:
        """A SAS of one blob; write-only by default."""
        sas = generate_blob_sas(
            str(self.service.account_name),
            container.container_name,
            blob,
            account_key=self._key,
            permission=BlobSasPermissions.from_string(permissions),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return f"{container.url}/{blob}?{sas}"

    @property
    def _key(self) -> str:
        return str(self.service.credential.account_key)


@pytest.fixture(scope="package", autouse=True)
def _own_servers() -> Iterator[None]:
    with local_servers_allowed():
        yield


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that the environment says to trust."""
    made = Authority(tmp_path / "pki")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.certificate))
    return made


@pytest.fixture
def secure(authority: Authority) -> Iterator[Azurite]:
    """An account that takes Entra's tokens."""
    with Azurite(authority=authority) as azurite:
        yield azurite


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    """A running Azurite."""
    with Azurite() as azurite:
        yield Store(azurite.connection_string)


@pytest.fixture
def container(store: Store) -> ContainerClient:
    """A container of the test's own."""
    return store.container(f"models-{uuid.uuid4().hex}")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A file to upload."""
    path = tmp_path / "model.tgz"
    path.write_bytes(CONTENT)
    return path


def command(*arguments: str) -> list[str]:
    """The command line of the trainer."""
    return [sys.executable, "-m", "vott_trainer", *arguments]


def environment(**variables: str) -> dict[str, str]:
    """The environment of the trainer: the checkout's code, and no account of the administrator unless given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "VOTT_"))}
    return {**inherited, "PYTHONPATH": PYTHONPATH, "PYTHONUNBUFFERED": "1", **ALLOWED, **variables}


def trainer(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the trainer as a program and wait for its end."""
    return subprocess.run(
        command(*arguments), env=environment(**variables), capture_output=True, text=True, timeout=600, check=False
    )


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
