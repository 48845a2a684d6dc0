"""Progress output: one line per phase, updated in place on a terminal, sparse otherwise."""

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
    """Prints steps, and repeated steps only once."""

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
        """Display the current step."""
        if step.phase != self._phase:
            self._start(step)
        line = self._format(step)
        if self._live:
            self._overwrite(line)
        elif _sparse_key(step) != self._last:
            click.echo(line, file=self._out)
        self._last = _sparse_key(step)

    def print_line(self, text: str = "") -> None:
        """Print a permanent line."""
        self.close()
        click.echo(text, file=self._out)

    def close(self) -> None:
        """End the line that is updated in place, and keep its text."""
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

    def _overwrite(self, line: str) -> None:
        columns = shutil.get_terminal_size().columns
        self._out.write(CLEAR_LINE + line[: columns - 1])
        self._out.flush()
        self._line_open = True


def _sparse_key(step: Step) -> str:
    """Outside of a terminal, a line is printed when this changes."""
    return step.text if step.percent is None else str(step.percent // SPARSE_PERCENT)
