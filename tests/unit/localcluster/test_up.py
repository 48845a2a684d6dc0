"""Builds side by side."""

import threading

import pytest

from localcluster import up
from localcluster.errors import LocalClusterError


def _fail() -> None:
    raise LocalClusterError("no disk")


def test_the_first_failure_is_said_while_other_builds_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    told = threading.Event()

    def note(text: str) -> None:
        said.append(text)
        told.set()

    def go_on() -> None:
        assert told.wait(10)

    monkeypatch.setattr(up, "say", note)
    monkeypatch.setattr(up, "_PROGRAMS", (go_on, _fail, go_on))
    with pytest.raises(LocalClusterError, match="no disk"):
        up.build()
    assert said[0].startswith("error: no disk\n")
