"""The demo's lines: one a phase, rewritten in place on a terminal, sparse elsewhere."""

import shutil
import sys
import time
from typing import TextIO

import click

from demo.progress import Step

BAR_WIDTH = 20
SPARSE_PERCENT = 20
CLEAR_LINE = "\r\x1b[2K"


class Screen:
    """Prints steps as they come: the same step twice is printed once."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._live = self._out.isatty()
        self._filled, self._empty = ("█", "░") if "utf" in (self._out.encoding or "").lower() else ("#", ".")
        self._line_open = False
        self._phase = ""
        self._since = time.monotonic()
        self._percent_at_start = 0
        self._last = ""

    def show(self, step: Step) -> None:
        """Say what is happening now."""
        if step.phase != self._phase:
            self._start(step)
        line = self._format(step)
        if self._live:
            self._write_over(line)
        elif _news(step) != self._last:
            click.echo(line, file=self._out)
        self._last = _news(step)

    def say(self, text: str = "") -> None:
        """Print a line that stays."""
        self.close()
        click.echo(text, file=self._out)

    def close(self) -> None:
        """Leave the line that is rewritten; what is on it stays."""
        if self._line_open:
            click.echo(file=self._out)
            self._line_open = False

    def _start(self, step: Step) -> None:
        self.close()
        self._phase, self._since = step.phase, time.monotonic()
        self._percent_at_start = step.percent or 0
        self._last = ""

    def _format(self, step: Step) -> str:
        elapsed = time.monotonic() - self._since
        if step.percent is None:
            seconds = f"  {elapsed:.0f} s" if self._live and elapsed >= 1 else ""
            return f"  {step.phase:<9} {step.text}{seconds}"
        full = BAR_WIDTH * step.percent // 100
        bar = self._filled * full + self._empty * (BAR_WIDTH - full)
        return f"  {step.phase:<9} {bar} {step.percent:3} %  {step.text}{self._time_left(step.percent, elapsed)}"

    def _time_left(self, percent: int, elapsed: float) -> str:
        done = percent - self._percent_at_start
        if done <= 0 or percent >= 100:
            return ""
        minutes, seconds = divmod(round(elapsed * (100 - percent) / done), 60)
        return f"  about {minutes}:{seconds:02} left"

    def _write_over(self, line: str) -> None:
        columns = shutil.get_terminal_size().columns
        self._out.write(CLEAR_LINE + line[: columns - 1])
        self._out.flush()
        self._line_open = True


def _news(step: Step) -> str:
    """What must change for a new line outside a terminal."""
    return step.text if step.percent is None else str(step.percent // SPARSE_PERCENT)
