"""Verify shared access signatures like Service Bus."""

import base64
import hashlib
import hmac
import time
from urllib.parse import parse_qs

KEY_NAME = "RootManageSharedAccessKey"


def token_error(token: str, key: str) -> str | None:
    """The error for an invalid token, or None. Tokens of an identity provider are not verified."""
    kind, _, fields = token.partition(" ")
    if kind != "SharedAccessSignature":
        return None
    values = {name: items[0] for name, items in parse_qs(fields).items()}
    if not {"sr", "sig", "se", "skn"} <= values.keys():
        return "MalformedToken: The token lacks a field."
    if values["skn"] != KEY_NAME or not hmac.compare_digest(values["sig"], _signature(fields, values["se"], key)):
        return "InvalidSignature: The token has an invalid signature."
    return None if int(values["se"]) > time.time() else "ExpiredToken: The token is expired."


def _signature(fields: str, expiry: str, key: str) -> str:
    resource = next(field.removeprefix("sr=") for field in fields.split("&") if field.startswith("sr="))
    digest = hmac.new(key.encode(), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
