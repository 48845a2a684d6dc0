"""The W3C trace context of a message (https://www.w3.org/TR/trace-context/#traceparent-header)."""

import re

PATTERN = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
_TRACEPARENT = re.compile(PATTERN)


def traceparent(value: object) -> str:
    """The value if it is a traceparent, else an empty text: a wrong one is no reason to refuse a message."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else ""
