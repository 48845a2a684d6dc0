"""Looks at the backlog of one queue from time to time."""

import asyncio
import logging
from typing import NoReturn

from prometheus_client import Gauge

from vott_messaging.errors import VottError
from vott_messaging.queues.base import Backlog, QueueSource
from vott_operator import metrics

logger = logging.getLogger(__name__)

BACKLOG_SECONDS = 15.0
UNKNOWN = Backlog(messages=None, oldest=None)


async def watch_backlog(source: QueueSource, label: str) -> NoReturn:
    """Keep the metrics of the backlog up to date until cancelled. An error makes them absent; receiving reports it."""
    while True:
        try:
            backlog = await source.backlog()
        except VottError:
            backlog = UNKNOWN
        except Exception:  # must not end the operator
            logger.exception("%s: its backlog can't be read", source.identity)
            backlog = UNKNOWN
        _show(metrics.QUEUE_MESSAGES, label, backlog.messages)
        _show(metrics.QUEUE_OLDEST, label, backlog.oldest.timestamp() if backlog.oldest else None)
        await asyncio.sleep(BACKLOG_SECONDS)


def _show(gauge: Gauge, label: str, value: float | None) -> None:
    if value is None:
        gauge.remove(label)
    else:
        gauge.labels(label).set(value)
