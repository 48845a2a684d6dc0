"""What of a JSON value may be printed."""

import math
from typing import Any

from vott_guard.redaction import redact, redact_secrets


def printable(value: Any) -> Any:
    """Return a JSON value without credentials, and without numbers that JSON does not know.

    Leaf by leaf: in a serialised value nobody can tell where a URL's query ends.
    """
    if isinstance(value, dict):
        return {str(key): printable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [printable(one) for one in value]
    if isinstance(value, str):
        return redact(value) if "://" in value else redact_secrets(value)  # a name may hold a question mark
    return None if isinstance(value, float) and not math.isfinite(value) else value
