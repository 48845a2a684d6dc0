"""What a person sees: on a terminal a live line for each training, otherwise JSON lines."""

import io
import logging
import re
import shutil
import time
from contextlib import suppress
from datetime import datetime
from typing import Protocol, TextIO

from vott_guard.log_format import JsonFormatter, RedactingFormatter, fields
from vott_guard.redaction import redact
from vott_traind.devices import Slot
from vott_traind.status import Status
from vott_traind.trainer import Job

TRAINER_LINE = re.compile(r"\S+Z (?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) +(?P<message>.*)")
"""A line of the trainer's log; a plugin's script may print anything."""
JSON_SECONDS = 10.0
"""Between two lines on the progress of a training."""
BAR = 20
"""Characters of a full bar."""
CLEAR_LINE = "\x1b[2K"
LINE_UP = "\x1b[1A"

trainer_logger = logging.getLogger("vott_traind.trainer_output")


class Output(Protocol):
    """Shows the progress of trainings, between the records of the log."""

    def progress(self, job: Job, slot: Slot, status: Status) -> None:
        """Show the newest report of a training."""

    def line(self, name: str, text: str) -> None:
        """Show a line that the trainer of a training has printed."""

    def end(self, name: str) -> None:
        """Show the progress of a training no longer."""


def open_output(stream: TextIO, level: str) -> Output:
    """Log to `stream`, as a person or as a program reads it. Everything is redacted; what the stream can't encode becomes `?`."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    handler = Terminal(stream) if stream.isatty() else JsonLines(stream)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # They log every request at INFO, the Azure clients with its URL.
    for name in ("azure", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler


class JsonLines(logging.StreamHandler[TextIO]):
    """A JSON object for each record, with `training` where it is about one; progress every few seconds."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._last: dict[str, float] = {}
        self.setFormatter(JsonFormatter())

    def progress(self, job: Job, slot: Slot, status: Status) -> None:  # noqa: ARG002 - Output
        """See Output."""
        now = time.monotonic()
        if now - self._last.get(job.name, -JSON_SECONDS) >= JSON_SECONDS:
            self._last[job.name] = now
            report = {"percent": status.report.percent, "loss": status.report.classification_loss}
            trainer_logger.info("%s", status.message or "Training", extra=fields(training=job.name, **report))

    def line(self, name: str, text: str) -> None:
        """See Output."""
        level, message = _parse(text)
        trainer_logger.log(level, "%s", message, extra=fields(training=name))

    def end(self, name: str) -> None:
        """See Output."""
        self._last.pop(name, None)


class Terminal(logging.StreamHandler[TextIO]):
    """Records above, and below them a line for each training that is rewritten in place. Of a trainer's lines only problems."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: dict[str, str] = {}
        self._shown = 0
        self.setFormatter(RedactingFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record above the live lines."""
        self._erase()
        super().emit(record)
        self._draw()

    def progress(self, job: Job, slot: Slot, status: Status) -> None:
        """See Output."""
        self._lines[job.name] = live_line(job, slot, status, time.time())
        self._erase()
        self._draw()

    def line(self, name: str, text: str) -> None:
        """See Output."""
        level, message = _parse(text)
        if level >= logging.WARNING:
            trainer_logger.log(level, "%s: %s", name, message)

    def end(self, name: str) -> None:
        """See Output."""
        self._erase()
        self._lines.pop(name, None)
        self._draw()

    def _erase(self) -> None:
        self._write(f"\r{CLEAR_LINE}" + f"{LINE_UP}{CLEAR_LINE}" * self._shown)
        self._shown = 0

    def _draw(self) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._write("".join(f"{text[:width]}\n" for text in self._lines.values()))
        self._shown = len(self._lines)

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal is gone, as after a lost connection: training goes on
            self.stream.write(text)
            self.flush()


def live_line(job: Job, slot: Slot, status: Status, now: float) -> str:
    """Describe the progress of a training in one line; `now` in seconds since 1970."""
    report = status.report
    percent = report.percent or 0
    parts = [
        f"{job.name}  {job.plugin}",
        f"{'█' * (percent * BAR // 100):░<{BAR}} {percent:3d} %",
        status.message or "starting",
        f"loss {report.classification_loss:.4g}" if report.classification_loss is not None else "",
        f"{status.images_per_second:.1f} images/s" if status.images_per_second is not None else "",
        _time_left(status.estimated_completion_time, now),
        str(slot) if slot.gpus else "",
    ]
    return redact("  ".join(_printable(part) for part in parts if part))


def _time_left(completion: str, now: float) -> str:
    try:
        seconds = datetime.fromisoformat(completion).timestamp() - now
    except ValueError:
        return ""
    minutes = max(0, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min left" if minutes >= 60 else f"{minutes} min left"


def _parse(text: str) -> tuple[int, str]:
    """Return level and message of a line that a trainer has printed."""
    found = TRAINER_LINE.fullmatch(text)
    if found is None:
        return logging.INFO, _printable(text)
    return logging.getLevelNamesMapping()[found["level"]], _printable(found["message"])


def _printable(text: str) -> str:
    """Replace control characters, which could change what else a terminal shows."""
    return "".join(char if char.isprintable() else " " for char in text)
