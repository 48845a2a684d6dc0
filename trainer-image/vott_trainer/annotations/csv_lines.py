"""Lines of a CSV file and their fields, in bounded memory."""

import csv
from collections.abc import Iterator
from typing import BinaryIO

from vott_trainer.annotations.limits import MAX_LINE_BYTES
from vott_trainer.annotations.model import FormatError


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines, each cut just above MAX_LINE_BYTES."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES + 1)


def fields(line: bytes, separator: str) -> list[str]:
    """Split a line into its fields; a byte order mark, CRLF and surrounding blanks are dropped.

    Raises:
        FormatError: the line is too long, not UTF-8, or not CSV.
    """
    if len(line) > MAX_LINE_BYTES:
        raise FormatError(f"expected a line of at most {MAX_LINE_BYTES:,} bytes, found a longer one")
    try:
        text = line.decode("utf-8-sig").strip("\r\n\0 " if separator == "\t" else "\r\n\0 \t")
    except UnicodeDecodeError as error:
        raise FormatError(f"expected text in UTF-8, found the byte 0x{line[error.start]:02x}") from error
    if "\r" in text:
        raise FormatError("expected lines that end with LF or CRLF, found a bare CR")
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error as error:
        raise FormatError(f"expected fields separated by {separator!r}, found a broken line ({error})") from error
