"""What happened when, for whoever has to understand a failure."""

import time


class Diary:
    """Notes with the seconds since the first moment. May be written from any thread."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Write down what happens now."""
        self.lines.append(f"{time.monotonic() - self._began:6.1f} s  {text}")

    def __str__(self) -> str:
        return "\n".join(self.lines)
