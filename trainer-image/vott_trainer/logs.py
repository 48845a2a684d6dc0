"""The log on stdout: time, level, message. Everything printed is redacted, tracebacks and plugins' output included."""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, TextIO, cast

from vott_guard.log_format import JsonFormatter, RedactingFormatter
from vott_guard.redaction import redact
from vott_trainer.process.ranks import Ranks


class UTCFormatter(RedactingFormatter):
    """Formats records in UTC, redacted."""

    converter = staticmethod(time.gmtime)


class RedactingStream:
    """Redacts whole lines, or the line so far at a flush; passes everything else to the wrapped stream."""

    def __init__(self, stream: TextIO) -> None:
        self.wrapped = stream
        self._line = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Buffer a text; write the complete lines."""
        with self._lock:
            whole, end, self._line = (self._line + text).rpartition("\n")
            if end:
                self.wrapped.write(redact(whole) + end)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write everything."""
        with self._lock:
            rest, self._line = self._line, ""
            self.wrapped.write(redact(rest))
            self.wrapped.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)


def redact_output() -> None:
    """Redact stdout and stderr: a plugin may print the credentials that it gets."""
    sys.stdout, sys.stderr = (cast("TextIO", RedactingStream(stream)) for stream in (sys.stdout, sys.stderr))


def configure(ranks: Ranks = Ranks(), level: int = logging.INFO) -> None:  # noqa: B008 - frozen
    """Log to stdout: libraries from warnings, this program from `level`.

    In lines, or as JSON objects if VOTT_LOG_FORMAT is `json`. Of several processes in a container, only the first one logs below warnings.
    """
    rank = "" if ranks.alone else f"[rank {ranks.rank}] "
    handler: logging.StreamHandler[TextIO]
    if os.environ.get("VOTT_LOG_FORMAT") == "json":
        # Its lines are redacted already, and redacting JSON could cut it.
        handler = logging.StreamHandler(sys.stdout.wrapped if isinstance(sys.stdout, RedactingStream) else sys.stdout)
        handler.setFormatter(JsonFormatter() if ranks.alone else JsonFormatter(rank=ranks.rank))
    else:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(UTCFormatter(f"%(asctime)s %(levelname)-7s {rank}%(message)s", "%Y-%m-%dT%H:%M:%SZ"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("vott_trainer").setLevel(level if ranks.leads_node else logging.WARNING)
