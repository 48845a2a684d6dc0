"""Digest of a message's content, for duplicate detection."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from vott_operator.messages.url_template import PLACEHOLDERS

CONTENT_FIELDS = (*PLACEHOLDERS, "annotations", "url", "model", "status", "plugin", "plugin_name", "parameters")


def content_digest(fields: Mapping[str, Any]) -> str:
    """SHA-256 in hex of the message's own fields: independent of how it is written and of the queue's settings."""
    content = {name: fields[name] for name in CONTENT_FIELDS if fields.get(name) is not None}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
