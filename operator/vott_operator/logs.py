"""The log on stdout."""

import io
import logging
import sys

from vott_guard.log_format import JsonFormatter, RedactingFormatter
from vott_guard.log_repeats import Repeats, cause
from vott_operator.settings.operator import Settings

CONSOLE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
MAX_TEXTS = 1000
"""Warnings of libraries that are remembered."""


def configure(settings: Settings) -> None:
    """Log from `logLevel` in `logFormat`: libraries from warnings, and each of their warnings at most every five minutes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else RedactingFormatter(CONSOLE))
    handler.addFilter(LibraryRepeats())
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # They log every request at INFO, the Azure client with its URL; kopf each of its steps.
    for name in ("azure", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("kopf").setLevel(max(logging.getLogger().level, logging.WARNING))


class LibraryRepeats(logging.Filter):
    """Drops what a library has said in the last five minutes: the Azure clients and kopf log each failed attempt."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the record."""
        if record.name.startswith("vott_") or record.levelno < logging.WARNING:
            return True
        text = record.getMessage()
        if len(self._repeats) > MAX_TEXTS:
            self._repeats = Repeats()
        return self._repeats.is_news((record.name, cause(text)), text)
