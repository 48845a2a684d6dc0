"""Steps that tell a person what happens: a line at the start, a sign of life meanwhile, the elapsed time at the end."""

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
_PLAIN_SIGN_OF_LIFE_SECONDS = 20
_SILENT_SECONDS = 0.7  # quicker steps print their end only
_TAIL_LINES = 12


def seconds_text(seconds: float) -> str:
    """``0.4 s``, ``12 s`` or ``3 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


@dataclass
class Step:
    """One running step; give its :meth:`run` the programs whose output belongs into its log."""

    title: str
    log: Path
    remedy: str = ""
    started: float = field(default_factory=time.monotonic)
    last_sign: float = 0.0
    announced: bool = False

    @property
    def elapsed(self) -> str:
        """Time since the start, for a person."""
        return seconds_text(time.monotonic() - self.started)

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
    ) -> None:
        """Run a program with its output in the step's log.

        Raises:
            CommandError: it ended with an error; the message has the log's last lines.
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

    def now_doing(self) -> str:
        """The log's last line: what the step does at this moment."""
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
    """Draws all running steps: steps may run side by side in threads."""

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

    def say(self, text: str) -> None:
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
                self._show_life()

    def _show_life(self) -> None:
        now = time.monotonic()
        for step in self._steps:
            if not step.announced and now - step.started > _SILENT_SECONDS:
                step.announced, step.last_sign = True, now
                self._print(f"… {step.title}")
        if sys.stderr.isatty():
            self._draw_line()
            return
        for step in self._steps:
            if step.announced and now - step.last_sign > _PLAIN_SIGN_OF_LIFE_SECONDS:
                step.last_sign = now
                self._print(f"… {step.title}: {step.elapsed}, {step.now_doing()[:100]}")

    def _draw_line(self) -> None:
        shown = " | ".join(f"{step.title}: {step.elapsed} {step.now_doing()}" for step in self._steps if step.announced)
        if shown:
            self._erase()
            print(f"  {shown}"[:110], end="", flush=True, file=sys.stderr)
            self._drawn = True


_display = _Display()


def say(text: str) -> None:
    """Print a line without disturbing the steps' line."""
    _display.say(text)


@contextmanager
def step(title: str, *, remedy: str = "") -> Iterator[Step]:
    """Run the body as one step.

    Raises:
        LocalClusterError: what the body raised, with the step's title before it and log and remedy after it.
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
        raise LocalClusterError(f"{title} failed: {error}\nThe whole log: {current.log}{hint}") from error
    finally:
        _display.end(current, mark)
