"""What the trainer's tests share."""

import os
import threading
from collections.abc import Iterator

import pytest

from localcluster.ports import free_ports
from tests.support.trainer_process import own_servers_allowed
from tests.unit.trainer.http_server import HttpServer
from tests.unit.trainer.shapes import image_with_shapes

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


def annotated(server: HttpServer, count: int) -> str:
    """Serve `count` images and their annotation file; return the file's URL."""
    lines = []
    for number in range(count):
        content, shapes = image_with_shapes(number)
        url = server.serve(f"/images/{number}.png", content)
        lines += [f"{url},{s.x},{s.y},{s.side},{s.side},{s.label}" for s in shapes]
    return server.serve("/annotations.csv", "\n".join(lines).encode())
