"""The form of a message in `<queue>-poison`: what was sent, and why it could not be used."""

import json
import re
from dataclasses import dataclass
from typing import Any

POISON_SUFFIX = "-poison"
MAX_MESSAGE_BYTES = 64 * 1024
"""The service's own limit for one message."""
NOT_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")
"""Characters beyond JSON's own escapes that the service, which speaks XML, can't carry (XML 1.0, section 2.2)."""
_NAMES = {"reason", "message", "queue", "messageId", "body"}


@dataclass(frozen=True, slots=True)
class PoisonMessage:
    """A message that was put aside, with what is known of why."""

    body: str
    """The text exactly as it was sent."""
    reason: str = ""
    """One CamelCase word; empty where nobody gave one."""
    message: str = ""
    """Why, in a sentence."""
    queue: str = ""
    message_id: str = ""
    """The id that it had in its queue."""


def poison_text(poison: PoisonMessage) -> str:
    """What to put on the poison queue: JSON, or the body alone where both would not fit into one message."""
    fields: dict[str, Any] = {
        "reason": poison.reason,
        "message": poison.message,
        "queue": poison.queue,
        "messageId": poison.message_id,
        "body": poison.body,
    }
    text = NOT_XML.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(fields, ensure_ascii=False))
    return text if len(text.encode()) <= MAX_MESSAGE_BYTES else poison.body


def read_poison(text: str) -> PoisonMessage:
    """Read a message of a poison queue. What others put there, as Azure Functions do, is the body alone."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return PoisonMessage(text)
    if not _is_ours(fields):
        return PoisonMessage(text)
    return PoisonMessage(
        fields["body"], fields["reason"], fields["message"], queue=fields["queue"], message_id=fields["messageId"]
    )


def _is_ours(fields: object) -> bool:
    return (
        isinstance(fields, dict)
        and fields.keys() == _NAMES
        and all(isinstance(value, str) for value in fields.values())
    )
