"""JSON values for logs, reports and model files: without credentials, and without numbers that JSON does not have."""

import math
from typing import Any

from vott_guard.redaction import redact, redact_secrets


def redact_json(value: Any) -> Any:
    """Return a JSON value with every string redacted, and None for NaN and infinities.

    String by string, because in a serialized value the end of a URL's query is unknown.
    """
    if isinstance(value, dict):
        return {str(key): redact_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_json(item) for item in value]
    if isinstance(value, str):
        return redact(value) if "://" in value else redact_secrets(value)  # a name may contain a question mark
    return None if isinstance(value, float) and not math.isfinite(value) else value
