"""What happened when, for whoever has to understand a failure."""

import time
from pathlib import Path


class Diary:
    """Notes with the seconds since the first moment, in a file. May be written from any thread."""

    def __init__(self, file: Path) -> None:
        self._began = time.monotonic()
        self._file = file
        file.touch()

    def note(self, text: str) -> None:
        """Write down what happens now."""
        with self._file.open("a") as file:
            file.write(f"{time.monotonic() - self._began:6.1f} s  {text}\n")

    def __str__(self) -> str:
        return self._file.read_text()
