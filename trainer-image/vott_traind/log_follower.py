"""Follow what a trainer prints into its log, and limit the log's size."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

CHUNK = 1 << 17
"""Bytes that are shown at a time. A trainer may print faster than that; the log has everything."""
LONGEST_LINE = 10_000
"""Characters of a line that are shown."""
MAX_BYTES = 64 << 20
"""Of the log, and again of the older part in `trainer.log.1`."""


class LogFollower:
    """Passes each complete line that is appended from now on to `on_line`, except where the trainer prints too fast. Methods raise OSError."""

    def __init__(self, file: Path, on_line: Callable[[str], None]) -> None:
        self._file = file
        self._on_line = on_line
        self._position = self._size

    @property
    def is_full(self) -> bool:
        """Whether it is time to `rotate`."""
        return self._size > MAX_BYTES

    @property
    def _size(self) -> int:
        return self._file.stat().st_size if self._file.exists() else 0

    def read(self, *, to_end: bool = False) -> None:
        """Pass the new lines on, at most `CHUNK`; `to_end`: also a last one without an end."""
        if (skipped := self._size - CHUNK - self._position) > 0:
            self._on_line(f"[{skipped:,} bytes skipped; see {self._file}]")
            self._position += skipped
        with self._file.open("rb") as file:
            file.seek(self._position)
            data = file.read(CHUNK)
        complete = len(data) if to_end or len(data) == CHUNK else data.rfind(b"\n") + 1
        self._position += complete
        for line in data[:complete].decode(errors="replace").splitlines():
            self._on_line(line[:LONGEST_LINE])

    def rotate(self) -> None:
        """Copy the log to `trainer.log.1` and empty it: the trainer, which has it open, goes on appending. Lines printed meanwhile are lost."""
        try:
            shutil.copyfile(self._file, self._file.with_suffix(".log.1"))
        finally:  # a full disk needs it even more
            os.truncate(self._file, 0)
            self._position = 0
