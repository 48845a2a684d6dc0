"""Plain log lines on stdout: time, level, message; no line ever shows a URL's query, tracebacks included."""

import logging
import sys
import time

from vott_trainer.ranks import Ranks
from vott_trainer.urls import redact


class RedactingFormatter(logging.Formatter):
    """Formats in UTC and cuts the query of every URL, whichever library logged it."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the formatted record without credentials."""
        return redact(super().format(record))


def configure(ranks: Ranks = Ranks(), level: int = logging.INFO) -> None:  # noqa: B008 - frozen
    """Send this program's log to stdout, other libraries' only from warnings on.

    Of several processes in a container, the first one tells the story; the others only add what is wrong with them.
    """
    rank = "" if ranks.alone else f"[rank {ranks.rank}] "
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(RedactingFormatter(f"%(asctime)s %(levelname)-7s {rank}%(message)s", "%Y-%m-%dT%H:%M:%SZ"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("vott_trainer").setLevel(level if ranks.leads_node else logging.WARNING)
