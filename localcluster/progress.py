"""Progress display of long steps: a line at the start, updates while running, the elapsed time at the end."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from localcluster.errors import CommandError, LocalClusterError
from localcluster.paths import cache_folder

_TICK_SECONDS = 0.5
_UPDATE_SECONDS = 20
_ANNOUNCE_SECONDS = 0.7  # shorter steps print only their end
_TAIL_LINES = 12


def seconds_text(seconds: float) -> str:
    """``0.4 s``, ``12 s`` or ``3 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


@dataclass
class Step:
    """A running step. :meth:`run` runs programs with their output in the step's log."""

    title: str
    log: Path
    remedy: str = ""
    started: float = field(default_factory=time.monotonic)
    last_update: float = 0.0
    announced: bool = False

    @property
    def elapsed(self) -> str:
        """Time since the start, such as ``12 s``."""
        return seconds_text(time.monotonic() - self.started)

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
    ) -> None:
        """Run a program; its output goes to the step's log.

        Raises:
            CommandError: The program failed; the message has the log's last lines.
        """
        with self.log.open("ab") as log:
            log.write(("$ " + " ".join(map(str, command)) + "\n").encode())
            log.flush()
            try:
                done = subprocess.run(command, cwd=cwd, env=env, stdin=stdin, stdout=log, stderr=log, check=False)
            except FileNotFoundError as error:
                raise CommandError(f"{command[0]} is not installed") from error
        if done.returncode != 0:
            raise CommandError(f"{Path(command[0]).name} ended with exit code {done.returncode}:\n{self.tail()}")

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The log's last lines, indented."""
        return "\n".join(f"    {line}" for line in _last_lines(self.log, lines))

    def current_line(self) -> str:
        """The log's last line."""
        return next(iter(_last_lines(self.log, 1)), "")


def _last_lines(path: Path, count: int) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.replace("\r", "\n").splitlines() if line.strip()][-count:]


class _Display:
    """Displays all running steps, which may run concurrently in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: list[Step] = []
        self._ticker: threading.Thread | None = None
        self._drawn = False

    def add(self, step: Step) -> None:
        with self._lock:
            self._steps.append(step)
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, daemon=True)
                self._ticker.start()

    def end(self, step: Step, mark: str) -> None:
        with self._lock:
            self._steps.remove(step)
            self._print(f"{mark} {step.title} ({step.elapsed})")

    def print_line(self, text: str) -> None:
        with self._lock:
            self._print(text)

    def _print(self, text: str) -> None:
        self._erase()
        print(text, file=sys.stderr, flush=True)

    def _erase(self) -> None:
        if self._drawn:
            print("\r\033[K", end="", file=sys.stderr)
            self._drawn = False

    def _tick(self) -> None:
        while True:
            time.sleep(_TICK_SECONDS)
            with self._lock:
                if not self._steps:
                    self._ticker = None
                    return
                self._show_updates()

    def _show_updates(self) -> None:
        now = time.monotonic()
        for step in self._steps:
            if not step.announced and now - step.started > _ANNOUNCE_SECONDS:
                step.announced, step.last_update = True, now
                self._print(f"… {step.title}")
        if sys.stderr.isatty():
            self._draw_line()
            return
        for step in self._steps:
            if step.announced and now - step.last_update > _UPDATE_SECONDS:
                step.last_update = now
                self._print(f"… {step.title}: {step.elapsed}, {step.current_line()[:100]}")

    def _draw_line(self) -> None:
        line = " | ".join(
            f"{step.title}: {step.elapsed} {step.current_line()}" for step in self._steps if step.announced
        )
        if line:
            self._erase()
            print(f"  {line}"[:110], end="", flush=True, file=sys.stderr)
            self._drawn = True


_display = _Display()


def print_line(text: str) -> None:
    """Print a line without disturbing the display of running steps."""
    _display.print_line(text)


@contextmanager
def step(title: str, *, remedy: str = "") -> Iterator[Step]:
    """Run the body as one step.

    Raises:
        LocalClusterError: The body raised CommandError; the message adds title, log and remedy.
    """
    logs = cache_folder() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    slug = "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split()[:6])
    current = Step(title, logs / f"{slug}.log", remedy)
    current.log.write_bytes(b"")
    _display.add(current)
    mark = "✗"
    try:
        yield current
        mark = "✓"
    except CommandError as error:
        hint = f"\n{remedy}" if remedy else ""
        raise LocalClusterError(f"{title} failed: {error}\nFull log: {current.log}{hint}") from error
    finally:
        _display.end(current, mark)
