"""Fixtures of the trainer's unit tests."""

import threading
from collections.abc import Iterator

import pytest

from tests.support.server_fixtures import server as server
from tests.support.server_fixtures import unused_url as unused_url
from tests.support.trainer_process import local_servers_allowed


@pytest.fixture(scope="package", autouse=True)
def _own_servers() -> Iterator[None]:
    with local_servers_allowed():
        yield


@pytest.fixture(autouse=True)
def _no_timers_left() -> Iterator[None]:
    """Cancel the timer that ends the process of an interrupted training after its grace period; here that is pytest's process."""
    yield
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
            thread.join()
