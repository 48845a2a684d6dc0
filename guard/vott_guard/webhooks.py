"""Headers and signatures of callbacks (Standard Webhooks). Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: `webhook-signature` is the base64 of
HMAC-SHA256 over `id.timestamp.body`, once for each key, so that keys can be rotated.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)  # by the specification


@dataclass(frozen=True)
class Keys:
    """The keys that sign callbacks, newest first. Without keys, callbacks are not signed."""

    keys: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: str) -> "Keys":
        """Parse keys (`whsec_` and base64), separated by white space.

        Raises:
            ValueError: one is not a key; the text does not show it.
        """
        return cls(tuple(_key(word, number) for number, word in enumerate(text.split(), start=1)))

    def headers(self, webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the headers of one attempt; `timestamp` in seconds since 1970."""
        headers = {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp)}
        if self.keys:
            signed = b".".join((webhook_id.encode(), str(timestamp).encode(), body))
            headers["webhook-signature"] = " ".join(f"v1,{_signature(key, signed)}" for key in self.keys)
        return headers


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _key(word: str, number: int) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not word.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise ValueError(
            f"key {number} is not a signing key: use {PREFIX} and the base64 of {KEY_BYTES[0]} to {KEY_BYTES[-1]} random bytes"
        )
    return key
