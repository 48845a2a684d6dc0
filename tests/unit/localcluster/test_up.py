"""Concurrent builds."""

import threading

import pytest

from localcluster import up
from localcluster.errors import LocalClusterError


def _fail() -> None:
    raise LocalClusterError("no disk")


def test_the_first_error_is_printed_while_other_builds_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    printed = threading.Event()

    def print_line(text: str) -> None:
        lines.append(text)
        printed.set()

    def wait_for_error() -> None:
        assert printed.wait(10)

    monkeypatch.setattr(up, "print_line", print_line)
    monkeypatch.setattr(up, "_PROGRAMS", (wait_for_error, _fail, wait_for_error))
    with pytest.raises(LocalClusterError, match="no disk"):
        up.build()
    assert lines[0].startswith("error: no disk\n")
