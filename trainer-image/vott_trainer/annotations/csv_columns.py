"""The columns of each CSV format, and a line's fields as a `Row`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from vott_trainer.annotations import csv_names
from vott_trainer.annotations.csv_numbers import ENGLISH, NumberStyle
from vott_trainer.annotations.csv_orders import is_image
from vott_trainer.annotations.model import Box, FormatError, ImageLink, LeftOutError, Row
from vott_trainer.annotations.normalized import normalized_box
from vott_trainer.annotations.values import box, box_of_corners, excerpt, label, number, size


class HeaderError(FormatError):
    """Columns that no line can be read with."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Positions of a line's values; `box` is None where whole images are classified.

    Attributes:
        names: for errors.
        size: of the image's width and height.
        group: of the mark for a group of objects.
        separator: between fields.
        style: of the numbers.
        normalized: whether boxes are in fractions of their images.
        further: how many columns follow the last one that has a name.
        suffix: of names of images that have none.
    """

    names: Sequence[str]
    url: int
    label: int
    box: tuple[int, int, int, int] | None
    meaning: Literal["corners", "sizes", "centers"]
    size: tuple[int, int] | None
    group: int | None
    separator: str
    style: NumberStyle = ENGLISH
    normalized: bool = False
    further: int = 0
    suffix: str = ""

    @classmethod
    def of(cls, header: Sequence[str], separator: str) -> Self:
        """Find the columns by their names.

        Raises:
            HeaderError: the image, the class or a part of the box has no column.
        """
        header = without_empty_end(header)
        names = csv_names.normalized(header)
        if what := csv_names.other_tool(names):
            raise HeaderError(f"is {what}")
        if names == list(csv_names.AUTO_ML_NAMES):
            names = list(csv_names.AUTO_ML)
        url = _first(names, csv_names.URL_NAMES, csv_names.URL_IDS)
        name = _first(names, csv_names.CLASS_NAMES, csv_names.CLASS_IDS)
        meaning, four = _box(names)
        parts = csv_names.parts_of_boxes(names) if four is None else []
        if url is None or name is None or parts:
            lacking = (
                ["the image"] * (url is None) + ["the class"] * (name is None) + ["each side of the box"] * bool(parts)
            )
            expected = ",".join(csv_names.COLUMNS[csv_names.WITH_HEADER])
            raise HeaderError(
                f"expected a header such as {expected}, found {excerpt(separator.join(header))}: no column for {' and '.join(lacking)}"
            )
        _raise_for_ambiguity(header, names, [url, name, *(four or ())])
        group = names.index("isgroupof") if "isgroupof" in names else None
        is_open_images = set(csv_names.OPEN_IMAGES) <= set(names)
        return cls(
            [field.strip().lower() for field in header],
            url,
            name,
            four,
            meaning,
            _size(names, four),
            group,
            separator,
            normalized=is_open_images,
            suffix=".jpg" if is_open_images else "",
        )

    @property
    def ends_with_class(self) -> bool:
        """Whether a class may contain separators."""
        return self.label == len(self.names) - 1

    def numbers(self, fields: Sequence[str], positions: Sequence[int]) -> list[float]:
        """Parse some fields of a line.

        Raises:
            FormatError: a field is missing, or not a number.
        """
        texts = self._plain(fields, positions)
        return [number(self.names[position], text) for position, text in zip(positions, texts, strict=True)]

    def _plain(self, fields: Sequence[str], positions: Sequence[int]) -> list[str]:
        return [self.style.plain(fields[place].strip()) if place < len(fields) else "" for place in positions]

    def row(self, fields: list[str], resolve: Callable[[str], ImageLink]) -> Row:
        """Parse a line.

        Raises:
            FormatError: a field is missing or invalid.
        """
        fields = self._completed(fields)
        name = self.separator.join(fields[self.label :] if self.ends_with_class else [fields[self.label]]).strip()
        if name.startswith(('[{"', '{"')):
            raise FormatError("expected a class name, found JSON, as in Label Studio's CSV: export JSON instead")
        path = fields[self.url].strip()
        image = resolve(path if path.endswith(self.suffix) else path + self.suffix)
        if self.box is None:
            return Row(image, label=label(name) if name else None)
        values = [fields[position].strip() for position in self.box]
        if _is_nothing(name) and all(_is_nothing(value) or not value.strip("0.,") for value in values):
            return Row(image)
        if all(map(_is_nothing, values)):
            raise FormatError(
                f"expected the box of class {excerpt(name)}, found none; an image without objects has no class either"
            )
        if self.group is not None and fields[self.group].strip() == "1":
            raise LeftOutError("a box around a group of objects: left out")
        shown = size(*self._plain(fields, self.size)) if self.size else None
        return Row(image, self._box(fields, self.box, name), size=shown)

    def _completed(self, fields: list[str]) -> list[str]:
        """Return the line with as many fields as names: spreadsheets leave out empty fields at the end, and add some."""
        if len(fields) == len(self.names):
            return fields
        fields = without_empty_end(fields, len(self.names))
        if 0 < self.further <= len(fields) - len(self.names):
            fields = fields[: -self.further]
        values = (self.label, *(self.box or ()))
        complete = len(fields) > max(self.url, *values)
        if not complete and self.url < len(fields) and is_image(fields[self.url].strip()):  # an image without objects
            complete = not any(fields[position].strip() for position in values if position < len(fields))
        if not complete or (len(fields) > len(self.names) and not self.ends_with_class):
            raise FormatError(
                f"expected {len(self.names)} fields ({','.join(self.names)}), "
                f"found {len(fields)}: {excerpt(self.separator.join(fields))}"
            )
        return fields + [""] * (len(self.names) - len(fields))

    def _box(self, fields: Sequence[str], positions: tuple[int, int, int, int], name: str) -> Box:
        a, b, c, d = self.numbers(fields, positions)
        if self.meaning == "centers":
            a, b = a - c / 2, b - d / 2
        made = (box_of_corners if self.meaning == "corners" else box)(a, b, c, d, label(name))
        return normalized_box(made) if self.normalized else made


def without_empty_end(fields: Sequence[str], least: int = 0) -> list[str]:
    """Return the fields without empty ones at the end, as spreadsheets add them, but `least` ones at least."""
    kept = list(fields)
    while len(kept) > least and not kept[-1].strip():
        kept.pop()
    return kept


def _is_nothing(text: str) -> bool:
    """Whether a text stands for a missing value, as tools write one."""
    return text.lower() in {"", "nan", "null", "none", "na", "n/a"}


def _raise_for_ambiguity(header: Sequence[str], names: Sequence[str], used: Iterable[int]) -> None:
    """Refuse names that do not say which column has a value, or in which unit.

    Raises:
        HeaderError: two columns have the same name, or a side of the box is in percent.
    """
    for position in used:
        if names.count(names[position]) > 1:
            raise HeaderError(f"names two columns {excerpt(header[position].strip())}: give each a name of its own")
        if "%" in header[position]:
            raise HeaderError(
                f"names a column in percent, {excerpt(header[position].strip())}: write pixels, or fractions from 0 to 1, and no % in the name"
            )


def _first(names: Sequence[str], *known: Sequence[str]) -> int | None:
    return next((position for some in known for position, name in enumerate(names) if name in some), None)


def _box(names: Sequence[str]) -> tuple[Literal["corners", "sizes", "centers"], tuple[int, int, int, int] | None]:
    if four := csv_names.find_four(names, csv_names.CORNERS):
        return "corners", four
    if four := csv_names.find_four(names, csv_names.CENTERS):
        return "centers", four
    return "sizes", csv_names.find_four(names, csv_names.SIZES)


def _size(names: Sequence[str], four: tuple[int, int, int, int] | None) -> tuple[int, int] | None:
    """Return the positions of the image's width and height, which the box does not use."""
    for width, height in csv_names.IMAGE_SIZES:
        if width in names and height in names:
            found = names.index(width), names.index(height)
            if four and not set(found) & set(four):
                return found
    return None
