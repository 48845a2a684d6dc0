"""CSV header names, the columns of each CSV format, and a line's fields as a `Row`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from vott_trainer.annotations.model import Box, FormatError, Row
from vott_trainer.annotations.values import box, box_of_corners, excerpt, label, number

WITH_HEADER = "vott-csv"
COLUMNS = {
    "vott-web": ("url", "x", "y", "width", "height", "class"),
    "corners": ("url", "x1", "y1", "x2", "y2", "class"),
    "classes": ("url", "class"),
    WITH_HEADER: ("image", "xmin", "ymin", "xmax", "ymax", "label"),
}  # by format
URL_NAMES, CLASS_NAMES = {"url", "image", "filename"}, {"class", "label"}
SIZE_NAMES, CORNER_NAMES = ("x", "y", "width", "height"), (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
ALL_NAMES = URL_NAMES.union(CLASS_NAMES, SIZE_NAMES, *CORNER_NAMES)


class HeaderError(FormatError):
    """Columns that no line can be read with."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Positions of a line's values; `box` is None where whole images are classified."""

    names: Sequence[str]
    url: int
    label: int
    box: tuple[int, int, int, int] | None
    corners: bool
    separator: str

    @classmethod
    def of(cls, names: Sequence[str], separator: str) -> Self:
        """Find the columns by their names.

        Raises:
            HeaderError: the image, the class or a part of the box has no column.
        """
        position = {name: index for index, name in reversed(list(enumerate(names)))}
        url, name = (next((position[n] for n in names if n in known), None) for known in (URL_NAMES, CLASS_NAMES))
        four = next((four for four in (*CORNER_NAMES, SIZE_NAMES) if set(four) <= set(names)), None)
        if url is None or name is None or (four is None and len(names) > 2):
            expected = ",".join(COLUMNS[WITH_HEADER])
            raise HeaderError(f"expected a header such as {expected}, found {excerpt(','.join(names))}")
        a, b, c, d = (position[n] for n in four) if four else (0, 0, 0, 0)
        return cls(names, url, name, (a, b, c, d) if four else None, four in CORNER_NAMES, separator)

    def row(self, fields: list[str], resolve: Callable[[str], str]) -> Row:
        """Parse a line; a class in the last column may contain separators.

        Raises:
            FormatError: a field is missing or invalid.
        """
        last = self.label == len(self.names) - 1
        if len(fields) < len(self.names) or (len(fields) > len(self.names) and not last):
            raise FormatError(
                f"expected {len(self.names)} fields ({','.join(self.names)}), "
                f"found {len(fields)}: {excerpt(','.join(fields))}"
            )
        url = resolve(fields[self.url])
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


def normalized(fields: Iterable[str]) -> list[str]:
    """Return the fields of a header line as column names."""
    return [field.strip().lower() for field in fields]


def is_header(fields: Iterable[str]) -> bool:
    """Whether these are column names with an image and a class."""
    names = set(normalized(fields))
    return bool(names & URL_NAMES and names & CLASS_NAMES)
