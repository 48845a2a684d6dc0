"""Unique secrets (markers) to place in messages, and a search for them in everything that the system wrote."""

import base64
import io
import secrets
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

PREFIX = 12  # characters that identify a marker, because long texts are truncated


@dataclass
class SecretMarkers:
    """Creates markers and finds them, even quoted, encoded, truncated or in an archive."""

    _needles: dict[str, set[bytes]] = field(default_factory=dict)

    def new(self, name: str) -> str:
        """Create a marker from characters that only base64 changes."""
        return self.add(name, f"mark{secrets.token_hex(12)}")

    def add(self, name: str, text: str) -> str:
        """Use an existing secret, such as a SAS's signature, as a marker."""
        assert name not in self._needles, f"duplicate marker {name}"
        forms = {text, quote(text, safe=""), text.replace("+", " ")}
        self._needles[name] = {form[:PREFIX].encode() for form in forms} | set(_in_base64(text))
        return text

    @property
    def names(self) -> list[str]:
        """Names of all markers."""
        return list(self._needles)

    def found_in(self, *contents: bytes) -> list[str]:
        """Names of the markers that occur in any of these contents; .tgz archives are unpacked."""
        whole = [part for content in contents for part in (content, *_unpacked(content))]
        return [name for name, forms in self._needles.items() if any(form in part for form in forms for part in whole)]


def _in_base64(text: str) -> Iterator[bytes]:
    """Base64 forms of the text within a longer one: one for each offset modulo 3, without the ends that depend on neighbours."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + text.encode())
        yield encoded[4 if shift else 0 :][:PREFIX]


def _unpacked(content: bytes) -> Iterator[bytes]:
    if content.startswith(b"\x1f\x8b"):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                if (file := archive.extractfile(member)) is not None:
                    yield member.name.encode()
                    yield file.read()
