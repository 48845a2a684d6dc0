"""Sends messages to both queues at a steady rate, each queue from a thread of its own."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping

from tests.chaos.senders import QueueWriter, Sender

ANNOTATIONS = "https://host/annotations.csv?sig=S"
MODEL = "https://store/models?sig=S"


class NumberedWriter:
    """Adds the callback of each message to its body. The queues share the numbers."""

    def __init__(self, writer: QueueWriter, url: Callable[[int], str]) -> None:
        self.urls: dict[str, str] = {}
        """Callback URLs by message id."""
        self._writer = writer
        self._url = url
        self._number = 0

    def send(self, _: str) -> str:
        """Send the next message; return its id."""
        url = self._url(self._number)
        self._number += 1
        body = {"annotations": ANNOTATIONS, "model": MODEL, "status": url, "plugin": "hello-world"}
        message_id = self._writer.send(json.dumps(body))
        self.urls[message_id] = url
        return message_id

    def close(self) -> None:
        """Close the connection; the next message opens a new one."""
        self._writer.close()


async def send_steadily(senders: Mapping[str, Sender], seconds: float) -> None:
    """Let the senders send all of their messages, evenly over `seconds`."""
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        for sender in senders.values():
            sender.allow(passed / seconds)
        await asyncio.sleep(0.2)
    for sender in senders.values():
        await asyncio.to_thread(sender.finish, seconds)
