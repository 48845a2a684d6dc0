"""Read what a trainer prints into its log, line by line."""

from collections.abc import Callable
from pathlib import Path

CHUNK = 1 << 20
LONGEST_LINE = 10_000
"""Characters of a line that are shown; the log has all of them."""


class LogFollower:
    """Passes each complete line that is appended from now on to `on_line`."""

    def __init__(self, file: Path, on_line: Callable[[str], None]) -> None:
        self._file = file
        self._on_line = on_line
        self._position = file.stat().st_size if file.exists() else 0

    def read(self, *, to_end: bool = False) -> None:
        """Pass the new lines on; `to_end`: also a last one without an end. Raises OSError."""
        with self._file.open("rb") as file:
            file.seek(self._position)
            while data := file.read(CHUNK):
                complete = len(data) if to_end or len(data) == CHUNK else data.rfind(b"\n") + 1
                self._position += complete
                for line in data[:complete].decode(errors="replace").splitlines():
                    self._on_line(line[:LONGEST_LINE])
                if complete < len(data):
                    break
