"""The CSV dialects: columns named by a header, or known by their order. Read line by line, so that a file may be large."""

import csv
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from vott_trainer.annotations.links import Links
from vott_trainer.annotations.model import MOST_ENTRIES, Box, Entries, Fault, Row, TooMuch
from vott_trainer.annotations.values import box, box_of_corners, excerpt, label, number
from vott_trainer.http.urls import is_http

LONGEST_LINE = 1 << 16  # bytes
WITH_HEADER = "vott-csv"
KINDS = {
    "vott-web": ("url", "x", "y", "width", "height", "class"),
    "corners": ("url", "x1", "y1", "x2", "y2", "class"),
    "classes": ("url", "class"),
    WITH_HEADER: ("image", "xmin", "ymin", "xmax", "ymax", "label"),
}
URL_NAMES, CLASS_NAMES = {"url", "image", "filename"}, {"class", "label"}
SIZES, CORNERS = ("x", "y", "width", "height"), (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
SEPARATORS = ",;\t"
_LINES_TO_TELL = 100
_LOOKS_LIKE_FILE = re.compile(r"[^<>{}]+\.\w+")


def entries(path: Path, kind: str | None, links: Links) -> Entries:
    """Yield what each line says; blank lines, a byte order mark, CRLF, and semicolons or tabs for commas are fine.

    Args:
        kind: one of `KINDS`; None to tell it from the first lines.

    Raises:
        Fault: there is no header where one must be.
        TooMuch: there are more lines than a training takes.
    """
    resolve = functools.lru_cache(links.resolve)  # the lines of one image follow each other
    with path.open("rb") as file:
        told, separator = tell(_lines(file))
        file.seek(0)
        kind = kind or told
        columns, first = Columns.of(KINDS[kind], separator), True
        for count, line in enumerate(_lines(file), start=1):
            if count > MOST_ENTRIES:
                raise TooMuch(f"has more than {MOST_ENTRIES:,} lines")
            try:
                fields = _fields(line, separator)
                if fields and first and (kind == WITH_HEADER or looks_like_header(fields)):
                    columns = Columns.of([field.strip().lower() for field in fields], separator)
                elif fields:
                    yield f"line {count}", columns.row(fields, resolve)
                first = first and not fields
            except HeaderFault as fault:
                raise Fault(f"line {count}: {fault}") from fault
            except Fault as fault:
                first = False
                yield f"line {count}", fault


class HeaderFault(Fault):
    """The columns are not what they should be: no line can be read."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a line holds what; `box` is None where whole images are classified."""

    names: Sequence[str]
    url: int
    label: int
    box: tuple[int, int, int, int] | None
    corners: bool
    separator: str

    @classmethod
    def of(cls, names: Sequence[str], separator: str) -> Self:
        """Return the columns that have these names.

        Raises:
            HeaderFault: an image, a class or a part of the box has no column.
        """
        place = {name: index for index, name in reversed(list(enumerate(names)))}
        url, name = (next((place[n] for n in names if n in known), None) for known in (URL_NAMES, CLASS_NAMES))
        four = next((four for four in (*CORNERS, SIZES) if set(four) <= set(names)), None)
        if url is None or name is None or (four is None and len(names) > 2):
            expected = ",".join(KINDS[WITH_HEADER])
            raise HeaderFault(f"expected a header such as {expected}, found {excerpt(','.join(names))}")
        a, b, c, d = (place[n] for n in four) if four else (0, 0, 0, 0)
        return cls(names, url, name, (a, b, c, d) if four else None, four in CORNERS, separator)

    def row(self, fields: list[str], resolve: Callable[[str], str]) -> Row:
        """Return what a line says; further separators belong to the class where that is the last column.

        Raises:
            Fault: it does not say what the columns ask for.
        """
        if len(fields) < len(self.names) or (len(fields) > len(self.names) and self.label != len(self.names) - 1):
            raise Fault(
                f"expected {len(self.names)} fields ({','.join(self.names)}), "
                f"found {len(fields)}: {excerpt(','.join(fields))}"
            )
        url = resolve(fields[self.url])
        last = self.label == len(self.names) - 1
        name = (self.separator.join(fields[self.label :]) if last else fields[self.label]).strip()
        if self.box is None:
            return Row(url, label=label(name) if name else None)
        numbers = [fields[index].strip() for index in self.box]
        return Row(url, self._box(numbers, name) if name or any(numbers) else None)

    def _box(self, texts: list[str], name: str) -> Box:
        assert self.box is not None
        a, b, c, d = (number(self.names[index], text) for index, text in zip(self.box, texts, strict=True))
        make = box_of_corners if self.corners else box
        return make(a, b, c, d, label(name))


def tell(lines: Iterable[bytes]) -> tuple[str, str]:
    """Return which of `KINDS` the first line that tells belongs to, and its separator.

    `corners` looks like `vott-web`, which it is then not.
    """
    return next(filter(None, map(_tell, itertools.islice(lines, _LINES_TO_TELL))), ("vott-web", SEPARATORS[0]))


def _tell(line: bytes) -> tuple[str, str] | None:
    kinds = [(kind, separator) for separator in SEPARATORS if (kind := _kind(line, separator))]
    # Two fields are found soon: the class of `a.jpg;1;2;3;4;cat, black` is not "black".
    return min(kinds, key=lambda told: told[0] == "classes", default=None)


def _kind(line: bytes, separator: str) -> str | None:
    try:
        fields = [field.strip() for field in _fields(line, separator)]
    except Fault:
        return None
    if is_header(fields):
        return WITH_HEADER
    if len(fields) >= 6 and all(not field or _is_number(field.replace(",", ".")) for field in fields[1:5]):
        return "vott-web"
    whole = len(fields) == 2 or (2 < len(fields) < 6 and not _is_number(fields[1]))
    return "classes" if whole and _is_image(fields[0]) else None


def is_header(fields: Sequence[str]) -> bool:
    """Return whether these are names of columns that can be read."""
    names = _names(fields)
    return bool(names & URL_NAMES and names & CLASS_NAMES)


def looks_like_header(fields: Sequence[str]) -> bool:
    """Return whether these are names of columns, be they the right ones or not."""
    known = URL_NAMES | CLASS_NAMES | {*SIZES, *itertools.chain(*CORNERS)}
    return is_header(fields) or (
        bool(_names(fields) & known or len(fields) >= 6)
        and not any(_is_number(field) or _is_image(field) or not field.strip() for field in fields)
    )


def _names(fields: Iterable[str]) -> set[str]:
    return {field.strip().lower() for field in fields}


def _is_image(text: str) -> bool:
    return is_http(text) or bool(_LOOKS_LIKE_FILE.fullmatch(text))


def _is_number(text: str) -> bool:
    try:
        number("", text)
    except Fault:
        return False
    return True


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines, of each at most a little more than what is accepted: memory stays bounded whatever the file is."""
    while line := file.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE + 1)


def _fields(line: bytes, separator: str) -> list[str]:
    if len(line) > LONGEST_LINE:
        raise Fault(f"expected a line of at most {LONGEST_LINE:,} bytes, found a longer one")
    try:
        text = line.decode("utf-8-sig").strip("\r\n\0 " if separator == "\t" else "\r\n\0 \t")
    except UnicodeDecodeError as error:
        raise Fault(f"expected text in UTF-8, found the byte 0x{line[error.start]:02x}") from error
    if "\r" in text:
        raise Fault("expected lines that end with LF or CRLF, found a bare CR")
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error as error:
        raise Fault(f"expected fields with {separator!r} between them, found a broken line ({error})") from error
