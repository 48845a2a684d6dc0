"""Fixtures of the trainer's unit and integration tests: a local HTTP server, and a URL without one."""

from collections.abc import Iterator

import pytest

from localcluster.ports import free_ports
from tests.support.http_server import HttpServer


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """A local HTTP server."""
    with HttpServer() as running:
        yield running


@pytest.fixture
def unused_url() -> str:
    """A URL on a port that no server listens on."""
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"
