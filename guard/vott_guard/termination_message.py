"""The trainer's termination message: why it failed (docs/trainer-contract.md)."""

import json
import re

REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")


def parse_termination_message(text: str) -> tuple[str, str] | None:
    """Return reason (one CamelCase word) and message (one sentence); None if the text is not that JSON, but for example a plugin's."""
    try:
        fields = json.loads(text)
        reason, message = fields["reason"], fields["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not (isinstance(reason, str) and REASON.fullmatch(reason) and isinstance(message, str) and message.strip()):
        return None
    return reason, message
