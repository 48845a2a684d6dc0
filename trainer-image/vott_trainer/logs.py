"""Plain log lines on stdout: time, level, message; no line ever shows a URL's query, tracebacks and what plugins print included."""

import logging
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, TextIO, cast

from vott_guard.redaction import redact
from vott_trainer.process.ranks import Ranks


class RedactingFormatter(logging.Formatter):
    """Formats in UTC and cuts the query of every URL, whichever library logged it."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the formatted record without credentials."""
        return redact(super().format(record))


class RedactingStream:
    """Writes whole lines, without credentials; of an unfinished one what there is at a flush. All else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Take a text and pass on what is complete of it."""
        with self._lock:
            whole, end, self._line = (self._line + text).rpartition("\n")
            if end:
                self._stream.write(redact(whole) + end)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on everything."""
        with self._lock:
            rest, self._line = self._line, ""
            self._stream.write(redact(rest))
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_output() -> None:
    """Let nothing that this program prints show a credential: a plugin may print whatever it was given."""
    sys.stdout, sys.stderr = (cast("TextIO", RedactingStream(stream)) for stream in (sys.stdout, sys.stderr))


def configure(ranks: Ranks = Ranks(), level: int = logging.INFO) -> None:  # noqa: B008 - frozen
    """Send this program's log to stdout, other libraries' only from warnings on.

    Of several processes in a container, the first one tells the story; the others only add what is wrong with them.
    """
    rank = "" if ranks.alone else f"[rank {ranks.rank}] "
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(RedactingFormatter(f"%(asctime)s %(levelname)-7s {rank}%(message)s", "%Y-%m-%dT%H:%M:%SZ"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("vott_trainer").setLevel(level if ranks.leads_node else logging.WARNING)
