"""What of a result may be printed."""

import math
from typing import Any

from vott_trainer.urls import redact


def printable(value: Any) -> Any:
    """Return a JSON value without credentials in its URLs, and without numbers that JSON does not know."""
    if isinstance(value, dict):
        return {str(key): printable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [printable(one) for one in value]
    if isinstance(value, str):
        return redact(value) if "://" in value else value  # a label may hold a question mark
    return None if isinstance(value, float) and not math.isfinite(value) else value
