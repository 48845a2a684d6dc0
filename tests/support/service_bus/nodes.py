"""The request-response nodes of Service Bus: `$cbs` (tokens) and `<entity>/$management` (lock renewal, browsing)."""

import uuid
from collections.abc import Callable
from typing import Any

from proton import UNDESCRIBED, Array, Data, Message, int32, timestamp

from tests.support.service_bus.auth import token_error
from tests.support.service_bus.sections import encode_delivery
from tests.support.service_bus.store import LockLostError, Store

LOCK_LOST = "com.microsoft:message-lock-lost"
LOCK_LOST_TEXT = (
    "The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue."
)

NO_DESCRIPTOR: Any = UNDESCRIBED

Response = tuple[int, str, str, Any]
"""Status, description, error condition and body."""


def put_token(request: Message, store: Store) -> tuple[bool, Message]:
    """Whether the token in a request to `$cbs` is valid, and the response."""
    error = token_error(str(request.body), store.key())
    properties = {"status-code": int32(401 if error else 202), "status-description": error or "Accepted"}
    return error is None, Message(properties=properties, correlation_id=request.id, body=None)


def manage(entity: str, request: Message, store: Store, changed: Callable[[str], None]) -> Message:
    """Handle a request to `<entity>/$management`; calls `changed` for an entity with newly available messages."""
    properties: Any = request.properties
    arguments: Any = request.body
    operation = _OPERATIONS.get(str(properties["operation"]).removeprefix("com.microsoft:"))
    try:
        if operation is None:
            response: Response = 501, "This test broker doesn't implement the operation.", "amqp:not-implemented", None
        else:
            response = operation(entity, arguments, store, changed)
    except LockLostError:
        response = 410, LOCK_LOST_TEXT, LOCK_LOST, None
    status, description, condition, body = response
    result = {"statusCode": int32(status), "statusDescription": description}
    if condition:
        result["errorCondition"] = condition
    return Message(properties=result, correlation_id=request.id, body=body)


def _renew(_entity: str, body: dict[str, Any], store: Store, _changed: Callable[[str], None]) -> Response:
    ends = [timestamp(int(store.renew(token) * 1000)) for token in _tokens(body)]
    return 200, "OK", "", {"expirations": Array(NO_DESCRIPTOR, Data.TIMESTAMP, *ends)}


def _peek(entity: str, body: dict[str, Any], store: Store, _changed: Callable[[str], None]) -> Response:
    messages = store.browse(entity, int(body["from-sequence-number"]), int(body["message-count"]))
    if not messages:
        return 204, "No messages.", "com.microsoft:message-not-found", None
    return 200, "OK", "", {"messages": [{"message": encode_delivery(message)} for message in messages]}


def _settle(_entity: str, body: dict[str, Any], store: Store, changed: Callable[[str], None]) -> Response:
    for token in _tokens(body):
        changed(_settle_one(str(body["disposition-status"]), token, body, store))
    return 200, "OK", "", None


def _settle_one(disposition: str, token: bytes, body: dict[str, Any], store: Store) -> str:
    if disposition == "completed":
        return store.complete(token)
    if disposition == "abandoned":
        return store.abandon(token)
    return store.dead_letter(token, str(body["deadletter-reason"]), str(body["deadletter-description"]))


def _tokens(body: dict[str, Any]) -> list[bytes]:
    return [uuid.UUID(str(token)).bytes for token in body["lock-tokens"]]


_OPERATIONS: dict[str, Callable[[str, dict[str, Any], Store, Callable[[str], None]], Response]] = {
    "renew-lock": _renew,
    "peek-message": _peek,
    "update-disposition": _settle,
}
