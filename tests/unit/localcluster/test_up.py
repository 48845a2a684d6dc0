"""Builds side by side."""

import threading
from collections.abc import Callable

import pytest

from localcluster import up
from localcluster.errors import LocalClusterError


def _fail() -> None:
    raise LocalClusterError("no disk")


@pytest.mark.parametrize("failing", ["build", "build_images"])
def test_the_first_failure_is_said_while_the_other_build_goes_on(failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    told = threading.Event()

    def note(text: str) -> None:
        said.append(text)
        told.set()

    def go_on() -> None:
        assert told.wait(10)

    tasks: dict[str, Callable[[], None]] = {"build": go_on, "build_images": go_on, failing: _fail}
    for name, task in tasks.items():
        monkeypatch.setattr(up, name, task)
    monkeypatch.setattr(up, "say", note)
    with pytest.raises(LocalClusterError, match="no disk"):
        up._build_all()
    assert said[0].startswith("error: no disk\n")
