"""Lines of a CSV file, its records and their fields, in bounded memory."""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from vott_trainer.annotations.limits import MAX_LINE_BYTES
from vott_trainer.annotations.model import FormatError

MAX_LINES = 20  # of a record: a quote that is never closed must not swallow the file
_SEPARATOR_LINE = re.compile(r'\ufeff?\s*"?sep=([^\w"]|\\t)"?', re.IGNORECASE)


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines, each cut just above MAX_LINE_BYTES."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES + 1)


def records(source: Iterable[bytes], separator: str, number: int = 1) -> Iterator[tuple[int, bytes]]:
    """Yield each record with the number of its first line: a quoted field may go on in the next lines.

    Args:
        number: of the first line of `source`.
    """
    remaining, ahead = iter(source), deque[bytes]()
    while line := ahead.popleft() if ahead else next(remaining, b""):
        if line.count(b'"') % 2 == 0:
            yield number, line
            number += 1
            continue
        record = [line]
        while (ended := _ended(record, separator)) is False and len(record) < MAX_LINES:
            if not (following := ahead.popleft() if ahead else next(remaining, b"")):
                break
            record.append(following)
        if not ended:  # a stray quote
            ahead.extendleft(reversed(record[1:]))
            del record[1:]
        yield number, b"".join(record)
        number += len(record)


def _ended(record: Sequence[bytes], separator: str) -> bool | None:
    """Whether these lines end outside of quotes; None if they are not properly quoted."""
    text = b"".join(record).decode(errors="replace").rstrip("\r\n").replace("\r\n", "\n") + "\n"
    try:
        if _split(text, separator)[-1].endswith("\n"):
            return False if len(text) <= MAX_LINE_BYTES else None
        _split(text, separator, strict=True)
    except csv.Error:
        return None
    return True


def fields(record: bytes, separator: str) -> list[str]:
    """Split a record into its fields; a byte order mark, CRLF and surrounding blanks are dropped.

    A record that is quoted as a whole, as a spreadsheet saves a table that it did not divide into columns, is split, too.

    Raises:
        FormatError: it is too long, not UTF-8, or not CSV.
    """
    if len(record) > MAX_LINE_BYTES:
        raise FormatError(f"expected a line of at most {MAX_LINE_BYTES:,} bytes, found a longer one")
    text = _decoded(record).strip("\r\n\0\ufeff " if separator == "\t" else "\r\n\0\ufeff \t").replace("\r\n", "\n")
    if "\r" in text:
        raise FormatError("expected lines that end with LF or CRLF, found a bare CR")
    try:
        found = _split(text, separator)
        return _split(found[0], separator) if len(found) == 1 and text.startswith('"') else found
    except csv.Error as error:
        raise FormatError(f"expected fields separated by {separator!r}, found a broken line ({error})") from error


def _decoded(record: bytes) -> str:
    try:
        return record.decode()
    except UnicodeDecodeError as error:
        byte = record[error.start : error.start + 1]
        character = byte.decode("cp1252", errors="replace")
        raise FormatError(
            f"expected text in UTF-8, found the byte 0x{byte.hex()}, which is {character!r} in Windows-1252: save the file as CSV UTF-8"
        ) from error


def _split(text: str, separator: str, *, strict: bool = False) -> list[str]:
    if ' "' in text:  # blanks before a quote would make it part of the field
        text = re.sub(rf'({re.escape(separator)}) +"', r'\1"', text)
    return next(csv.reader([text], delimiter=separator, strict=strict), [])


def named_separator(line: bytes) -> str | None:
    """Return the separator that a line such as `sep=;` names: tools write it for Excel; None if it is another line."""
    match = _SEPARATOR_LINE.match(line.decode(errors="replace"))
    return match and match[1].replace("\\t", "\t")
