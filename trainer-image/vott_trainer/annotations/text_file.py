"""Annotation files in UTF-16 or UTF-32, or with the line ends of old Macs: read from a copy in UTF-8 with LF."""

import codecs
import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vott_trainer.annotations.model import FormatError

HEAD = 4096
BLOCK = 1 << 20
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}  # UTF-32's little-endian mark begins with UTF-16's
_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")  # it names the encoding that the file had


@contextlib.contextmanager
def in_utf8(path: Path) -> Iterator[Path]:
    """Yield the path of the file, or of a copy that lies beside it meanwhile.

    Raises:
        FormatError: the file is not in the encoding that it begins with.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    encoding = _encoding(head)
    if encoding == "utf-8" and (b"\r" not in head or b"\n" in head or b"\0" in head):
        yield path
        return
    with tempfile.NamedTemporaryFile(dir=path.parent) as copy:
        try:
            for text in _blocks(path, encoding):
                copy.write(text.encode(errors=_errors(encoding)))
        except UnicodeError as error:
            raise FormatError(f"is text in {encoding[:6].upper()}, but damaged: save it as CSV UTF-8") from error
        copy.flush()
        yield Path(copy.name)


def _blocks(path: Path, encoding: str) -> Iterator[str]:
    """Yield the file's text, without a byte order mark and an XML declaration."""
    first = True
    with path.open(encoding=encoding, errors=_errors(encoding), newline=None) as file:
        while text := file.read(BLOCK):
            if first:
                text, first = text.removeprefix("\ufeff"), False
                text = _XML_DECLARATION.sub("", text, count=1) if _XML_DECLARATION.match(text) else text
            yield text


def _errors(encoding: str) -> str:
    """Leave bytes that are not UTF-8 as they are: their reader names the line."""
    return "surrogateescape" if encoding == "utf-8" else "strict"


def _encoding(head: bytes) -> str:
    """Return the encoding by the byte order mark, or by the zeros that UTF-16 has beside each Latin letter."""
    if b"\0" not in head and head not in _MARKS:
        return "utf-8"
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    even, odd = (head[start::2].count(0) for start in (0, 1))
    if 2 * max(even, odd) > len(head) // 2 and not min(even, odd):
        return "utf-16-le" if odd else "utf-16-be"
    return "utf-8"
