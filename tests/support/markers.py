"""Secrets that can be found again: each stands in one place of a message, and nowhere else unless something leaked."""

import base64
import io
import secrets
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

PREFIX = 12  # characters that give a marker away: texts are shortened at their end


@dataclass
class Markers:
    """Hands out markers and searches for them, also where they were quoted, encoded, shortened or packed."""

    _needles: dict[str, set[bytes]] = field(default_factory=dict)

    def new(self, name: str) -> str:
        """A fresh marker, made only of what no encoding but base64 changes."""
        return self.known(name, f"mark{secrets.token_hex(12)}")

    def known(self, name: str, text: str) -> str:
        """Take a secret that somebody else made, such as a SAS' signature, for a marker."""
        assert name not in self._needles, f"two markers are called {name}"
        forms = {text, quote(text, safe=""), text.replace("+", " ")}
        self._needles[name] = {form[:PREFIX].encode() for form in forms} | set(_in_base64(text))
        return text

    @property
    def names(self) -> list[str]:
        """All that were handed out."""
        return list(self._needles)

    def found_in(self, *contents: bytes) -> list[str]:
        """The names of those that occur in any of these, unpacked where it is an archive."""
        whole = [part for content in contents for part in (content, *_unpacked(content))]
        return [name for name, forms in self._needles.items() if any(form in part for form in forms for part in whole)]


def _in_base64(text: str) -> Iterator[bytes]:
    """The text as it looks within a longer one in base64: there are three ways, by where it begins, and its ends depend on its neighbours."""
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
