"""Format of a message in the poison queue `<queue>-poison`: the original body with the dead-letter reason."""

import json
import re
from dataclasses import dataclass
from typing import Any

POISON_SUFFIX = "-poison"
MAX_MESSAGE_BYTES = 64 * 1024
"""The service's limit for one message."""
NOT_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")
"""Characters that JSON doesn't escape and the service's XML can't carry (XML 1.0, section 2.2)."""
_FIELDS = {"reason", "message", "queue", "messageId", "body"}


@dataclass(frozen=True, slots=True)
class PoisonMessage:
    """A dead-lettered message with the reason, as far as it is known."""

    body: str
    """The original text, unchanged."""
    reason: str = ""
    """One CamelCase word, or empty."""
    message: str = ""
    """Why it was dead-lettered, in a sentence."""
    queue: str = ""
    message_id: str = ""
    """The id that it had in its queue."""


def format_poison_message(poison: PoisonMessage) -> str:
    """Text for the poison queue: JSON, or the body alone when both exceed the service's limit."""
    fields: dict[str, Any] = {
        "reason": poison.reason,
        "message": poison.message,
        "queue": poison.queue,
        "messageId": poison.message_id,
        "body": poison.body,
    }
    text = NOT_XML.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(fields, ensure_ascii=False))
    return text if len(text.encode()) <= MAX_MESSAGE_BYTES else poison.body


def parse_poison_message(text: str) -> PoisonMessage:
    """Parse a message of a poison queue. Other writers, such as Azure Functions, store the body alone."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return PoisonMessage(text)
    if not _has_our_format(fields):
        return PoisonMessage(text)
    return PoisonMessage(
        fields["body"], fields["reason"], fields["message"], queue=fields["queue"], message_id=fields["messageId"]
    )


def _has_our_format(fields: object) -> bool:
    return (
        isinstance(fields, dict)
        and fields.keys() == _FIELDS
        and all(isinstance(value, str) for value in fields.values())
    )
