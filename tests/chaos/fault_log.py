"""A timestamped log of the faults, for diagnosing a failed run."""

import time
from pathlib import Path


class FaultLog:
    """A file of notes with the seconds since its creation. Thread-safe."""

    def __init__(self, file: Path) -> None:
        self._start = time.monotonic()
        self._file = file
        file.touch()

    def note(self, text: str) -> None:
        """Append a line with the current time."""
        with self._file.open("a") as file:
            file.write(f"{time.monotonic() - self._start:6.1f} s  {text}\n")

    def __str__(self) -> str:
        return self._file.read_text()
