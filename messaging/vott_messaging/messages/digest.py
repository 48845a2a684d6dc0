"""Digest of a message's content, for duplicate detection."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def content_digest(fields: Mapping[str, Any]) -> str:
    """SHA-256 in hex of the message's own `usual_fields`: independent of how it is written and of the queue's settings."""
    return hashlib.sha256(canonical_json(fields).encode()).hexdigest()


def canonical_json(value: object) -> str:
    """The same text for the same JSON value. Raises RecursionError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
