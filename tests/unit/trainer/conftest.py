"""What the trainer's tests share."""

import os
import threading
from collections.abc import Iterator

import pytest

from localcluster.ports import free_ports
from tests.support.http_server import HttpServer
from tests.support.trainer_process import own_servers_allowed

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the image: threads that wait must not spin


@pytest.fixture(scope="package", autouse=True)
def _own_servers() -> Iterator[None]:
    with own_servers_allowed():
        yield


@pytest.fixture(autouse=True)
def _nothing_is_ended_after_its_test() -> Iterator[None]:
    """An interrupted training ends its process when the grace period is over; here the process is pytest's."""
    yield
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
            thread.join()


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """A local HTTP server."""
    with HttpServer() as running:
        yield running


@pytest.fixture
def nobody() -> str:
    """A URL where nobody listens."""
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"
