"""Control interface for tests: JSON over HTTP, separate from AMQP so that inspecting a queue doesn't affect it."""

import base64
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.support.service_bus.sections import body
from tests.support.service_bus.store import DEAD_LETTER_SUFFIX, Store


def control_server(address: tuple[str, int], store: Store, cut: Callable[[], None]) -> HTTPServer:
    """Server for POST /<command> with a JSON object of arguments."""
    commands: dict[str, Callable[..., Any]] = {
        "ping": lambda: None,
        "cut": cut,
        "add_queue": store.add_queue,
        "set_key": store.set_key,
        "counts": lambda queue: store.counts(queue.lower()),
        "messages": lambda queue: _messages(store, queue.lower()),
        "dead_letters": lambda queue: _messages(store, queue.lower() + DEAD_LETTER_SUFFIX),
    }

    class Control(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            response = json.dumps(commands[self.path.removeprefix("/")](**arguments)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(response)))
            self.end_headers()
            self.wfile.write(response)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    return HTTPServer(address, Control)


def _messages(store: Store, entity: str) -> list[dict[str, Any]]:
    return [
        {
            "sequence_number": message.sequence,
            "message_id": message.message_id,
            "delivery_count": message.delivery_count,
            "body": base64.b64encode(body(message.content)).decode(),
            "reason": message.reason,
            "description": message.description,
        }
        for message in store.browse(entity)
    ]
