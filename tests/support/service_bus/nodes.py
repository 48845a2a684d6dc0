"""The two nodes of Service Bus that answer requests: `$cbs` takes tokens, `<entity>/$management` does what links can't."""

import uuid
from collections.abc import Callable
from typing import Any

from proton import UNDESCRIBED, Array, Data, Message, int32, timestamp

from tests.support.service_bus.auth import refusal
from tests.support.service_bus.sections import give_out
from tests.support.service_bus.store import LockLostError, Store

LOCK_LOST = "com.microsoft:message-lock-lost"
LOCK_LOST_TEXT = (
    "The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue."
)

NO_DESCRIPTOR: Any = UNDESCRIBED

Answer = tuple[int, str, str, Any]
"""Status, its description, error condition, body."""


def put_token(request: Message, store: Store) -> tuple[bool, Message]:
    """Whether the token that a request to `$cbs` brings is good, and the answer."""
    why = refusal(str(request.body), store.key())
    properties = {"status-code": int32(401 if why else 202), "status-description": why or "Accepted"}
    return why is None, Message(properties=properties, correlation_id=request.id, body=None)


def manage(entity: str, request: Message, store: Store, changed: Callable[[str], None]) -> Message:
    """Answer a request to `<entity>/$management`; `changed` hears of entities whose messages became receivable."""
    properties: Any = request.properties
    arguments: Any = request.body
    operation = _OPERATIONS.get(str(properties["operation"]).removeprefix("com.microsoft:"))
    try:
        if operation is None:
            answer: Answer = 501, "This test broker does not know the operation.", "amqp:not-implemented", None
        else:
            answer = operation(entity, arguments, store, changed)
    except LockLostError:
        answer = 410, LOCK_LOST_TEXT, LOCK_LOST, None
    status, description, condition, body = answer
    result = {"statusCode": int32(status), "statusDescription": description}
    if condition:
        result["errorCondition"] = condition
    return Message(properties=result, correlation_id=request.id, body=body)


def _renew(_entity: str, body: dict[str, Any], store: Store, _changed: Callable[[str], None]) -> Answer:
    ends = [timestamp(int(store.renew(token) * 1000)) for token in _tokens(body)]
    return 200, "OK", "", {"expirations": Array(NO_DESCRIPTOR, Data.TIMESTAMP, *ends)}


def _peek(entity: str, body: dict[str, Any], store: Store, _changed: Callable[[str], None]) -> Answer:
    found = store.browse(entity, int(body["from-sequence-number"]), int(body["message-count"]))
    if not found:
        return 204, "No messages.", "com.microsoft:message-not-found", None
    return 200, "OK", "", {"messages": [{"message": give_out(message)} for message in found]}


def _settle(_entity: str, body: dict[str, Any], store: Store, changed: Callable[[str], None]) -> Answer:
    for token in _tokens(body):
        changed(_settle_one(str(body["disposition-status"]), token, body, store))
    return 200, "OK", "", None


def _settle_one(how: str, token: bytes, body: dict[str, Any], store: Store) -> str:
    if how == "completed":
        return store.complete(token)
    if how == "abandoned":
        return store.abandon(token)
    return store.dead_letter(token, str(body["deadletter-reason"]), str(body["deadletter-description"]))


def _tokens(body: dict[str, Any]) -> list[bytes]:
    return [uuid.UUID(str(token)).bytes for token in body["lock-tokens"]]


_OPERATIONS: dict[str, Callable[[str, dict[str, Any], Store, Callable[[str], None]], Answer]] = {
    "renew-lock": _renew,
    "peek-message": _peek,
    "update-disposition": _settle,
}
