"""What a person sees on a terminal, and what a program reads."""

import errno
import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from vott_messaging.callbacks.payload import ProgressReport
from vott_messaging.messages.message import TrainMessage
from vott_traind.devices import Slot
from vott_traind.output import JsonLines, Terminal, live_line, open_output
from vott_traind.status import Status
from vott_traind.trainer import Job

NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z"""
JOB = Job("vott-1", "detection", TrainMessage(annotations="https://h/a", model="https://h/m"))
STATUS = Status(
    report=ProgressReport(percent=42, classification_loss=0.25),
    message="Epoch 3 of 10",
    images_per_second=9.8,
    estimated_completion_time="2026-01-01T00:12:00Z",
    metrics={},
)


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_live_line_says_how_far_a_training_is() -> None:
    line = live_line(JOB, Slot(0, ("GPU-1",)), STATUS, NOW)
    assert (
        line
        == "vott-1  detection  ████████░░░░░░░░░░░░  42 %  Epoch 3 of 10  loss 0.25  9.8 images/s  12 min left  GPU-1"
    )


def test_a_live_line_is_short_before_anything_is_known() -> None:
    line = live_line(JOB, Slot(0), Status(report=ProgressReport(), metrics={}), NOW)
    assert line == f"vott-1  detection  {'░' * 20}   0 %  starting"


def test_a_terminal_rewrites_its_live_lines_below_the_log() -> None:
    output = open_output(screen := Tty(), "INFO")
    assert isinstance(output, Terminal)
    output.progress(JOB, Slot(0), STATUS)
    logging.getLogger("x").warning("see https://host/a?sig=SECRET")
    output.line("vott-1", "2026-01-01T00:00:00Z INFO    an epoch")
    output.line("vott-1", "2026-01-01T00:00:00Z WARNING few images\x1b[31m")
    output.end("vott-1")
    shown = _shown(screen.getvalue())
    assert [line.partition(" ")[2] for line in shown] == [
        "WARNING see https://host/a",
        "WARNING vott-1: few images [31m",
    ]


class LostTty(Tty):
    def write(self, _: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_a_lost_terminal_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", LostTty())
    output = open_output(LostTty(), "INFO")
    output.progress(JOB, Slot(0), STATUS)
    logging.getLogger("x").warning("goes on")
    output.end("vott-1")


def test_a_stream_that_cannot_encode_a_character_shows_the_rest() -> None:
    output = open_output(io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii"), "INFO")
    output.line("vott-1", "größer")
    assert json.loads(raw.getvalue())["message"] == "gr??er"


def _shown(text: str) -> list[str]:
    """The lines that stay on a terminal."""
    lines = [""]
    for part in text.replace("\x1b[1A\x1b[2K", "\0").replace("\r\x1b[2K", "\1"):
        if part == "\n":
            lines.append("")
        elif part == "\0":
            lines = [*lines[:-2], ""]
        elif part == "\1":
            lines[-1] = ""
        else:
            lines[-1] += part
    return lines[:-1]


def test_without_a_terminal_each_line_is_json() -> None:
    output = open_output(stream := io.StringIO(), "INFO")
    assert isinstance(output, JsonLines)
    for _ in range(2):
        output.progress(JOB, Slot(0), STATUS)  # the second comes too soon
    output.line("vott-1", "2026-01-01T00:00:00Z ERROR   no image?sig=SECRET")
    output.line("vott-1", "a script's own line")
    try:
        raise ValueError("bad https://h/x?sig=SECRET")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    progress, error, own, failure = map(json.loads, stream.getvalue().splitlines())
    assert (progress["training"], progress["percent"], progress["message"]) == ("vott-1", 42, "Epoch 3 of 10")
    assert (error["level"], error["training"], own["message"]) == ("ERROR", "vott-1", "a script's own line")
    assert "ValueError" in failure["exception"]
    assert "SECRET" not in stream.getvalue()
