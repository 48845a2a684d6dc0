"""Which of repeated failures to log: the first, one with another cause, one every five minutes, and the end."""

import re
import time
from collections.abc import Callable, Hashable

REPEAT_SECONDS = 300.0
_NUMBER = re.compile(r"\d+(\.\d+)?")


class Repeats:
    """Failures by subject, such as a queue. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[Hashable, tuple[str, float]] = {}

    def is_news(self, subject: Hashable, text: str) -> bool:
        """Whether to log this failure. Numbers in the text, such as ports and seconds, make it no other cause."""
        now = self._clock()
        last_cause, logged = self._last.get(subject, ("", 0.0))
        if subject in self._last and cause(text) == last_cause and now - logged < REPEAT_SECONDS:
            return False
        self._last[subject] = cause(text), now
        return True

    def end(self, subject: Hashable) -> bool:
        """Forget the subject. Returns whether a failure of it was logged."""
        return self._last.pop(subject, None) is not None

    def __len__(self) -> int:
        """Number of subjects."""
        return len(self._last)


def cause(text: str) -> str:
    """The text without its numbers."""
    return _NUMBER.sub("", text)
