"""What the values of the first lines of a CSV file tell: decimal commas, fractions, sizes that are wrong, columns without a name."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vott_trainer.annotations import csv_names, csv_numbers
from vott_trainer.annotations.csv_columns import Columns, without_empty_end
from vott_trainer.annotations.csv_orders import SPLITS, is_image
from vott_trainer.annotations.model import FormatError, Note
from vott_trainer.annotations.normalized import MOST, are_normalized
from vott_trainer.annotations.values import excerpt, is_number

MAX_NUMBERS = 3  # after a class that is a number, too; more are key points or pixels

Lines = Sequence[Sequence[str]]
"""The fields of each line."""


def refined(columns: Columns, lines: Lines) -> tuple[Columns, list[Note]]:
    """Return the columns with what the values tell, and notes for the report.

    Raises:
        FormatError: the numbers, or the classes, may mean two things.
    """
    notes: list[Note] = []
    columns = replace(columns, url=_url(columns, lines), style=_style(columns, lines))
    boxes = [fields for fields in lines if columns.box and _numbers(columns, fields, columns.box)]
    if columns.size and not mostly(fits(columns, fields) for fields in boxes):
        columns = replace(columns, size=None)
    if columns.meaning != "sizes" and not columns.normalized and _is_normalized(columns, boxes):
        columns = replace(columns, normalized=True)
        notes.append(
            Note("the boxes are read as fractions of their images: the numbers of the first lines lie between 0 and 1")
        )
    further, note = _further(columns, lines)
    return replace(columns, further=further), notes + ([note] if note else [])


def fits(columns: Columns, fields: Sequence[str]) -> bool:
    """Whether a line's box lies in an image of the size that the line has."""
    numbers = _numbers(columns, fields, (*(columns.box or ()), *(columns.size or ())))
    if len(numbers) < 6:
        return False
    x, y, right, bottom, width, height = numbers
    if columns.meaning == "sizes":
        right, bottom = x + right, y + bottom
    return -1 <= x <= right <= width + 1 and -1 <= y <= bottom <= height + 1


def mostly(answers: Iterable[bool]) -> bool:
    """Whether most of the answers are yes."""
    listed = list(answers)
    return sum(listed) >= MOST * len(listed)


def _numbers(columns: Columns, fields: Sequence[str], positions: Sequence[int]) -> list[float]:
    """Parse some fields; none if one is missing, or not a number."""
    try:
        return columns.numbers(fields, positions)
    except FormatError:
        return []


def _is_normalized(columns: Columns, boxes: Iterable[Sequence[str]]) -> bool:
    return are_normalized(_numbers(columns, fields, columns.box or ()) for fields in boxes)


def _url(columns: Columns, lines: Lines) -> int:
    """Return the column of the image: another one that may be it, if only that one has names of images."""

    def has_images(position: int) -> bool:
        values = [fields[position].strip() for fields in lines if position < len(fields)]
        return bool(values) and mostly(map(is_image, values))

    names = csv_names.normalized(columns.names)
    others = [position for position, name in enumerate(names) if name in (*csv_names.URL_NAMES, *csv_names.URL_IDS)]
    return next(filter(has_images, [columns.url, *others]), columns.url)


def _style(columns: Columns, lines: Lines) -> csv_numbers.NumberStyle:
    """Return the style of the numbers.

    Raises:
        FormatError: their points may separate decimals or thousands.
    """
    positions = columns.box or ()
    texts = [fields[position].strip() for fields in lines for position in positions if position < len(fields)]
    style = csv_numbers.style_of(texts)
    # Languages with semicolons between the fields have decimal commas.
    if not style.decimal_comma and columns.separator == ";" and (found := csv_numbers.ambiguous(texts)):
        raise FormatError(
            f"has numbers such as {excerpt(found)}, whose point may separate thousands or decimals: save it without separators of thousands"
        )
    return style


def _further(columns: Columns, lines: Lines) -> tuple[int, Note | None]:
    """Return how many columns follow the class in each line, by their values, and what to say about them.

    Raises:
        FormatError: they can't be columns after the class, as the class would begin with a number.
    """
    classes = [without_empty_end(fields)[columns.label :] for fields in lines]
    classes = [fields for fields in classes if fields]
    if columns.ends_with_class:
        _raise_for_several_classes(classes, columns.separator)
    counts = {len(fields) - 1 for fields in classes}
    if not columns.ends_with_class or len(counts) != 1 or (count := counts.pop()) < 1 or len(classes) < 2:
        return 0, None
    first = excerpt(columns.separator.join(classes[0]))
    if columns.box and count > MAX_NUMBERS and all(is_number(field) for fields in classes for field in fields):
        raise FormatError(f"each line has {count + 1} numbers after the box, expected its class, found {first}")
    if all(_is_no_name(field.strip()) for fields in classes for field in fields[1:]):
        return count, Note(f"the fields after the class are ignored, as they are no names: {first}")
    total = len(columns.names) + count
    if columns.box and all(is_number(fields[0]) for fields in classes):
        raise FormatError(
            f"each line has {total} fields, expected {len(columns.names)} ({','.join(columns.names)}). "
            "Write decimal points, or quotes around numbers with decimal commas, and a first line that names each column"
        )
    return 0, Note(
        f"each line has {total} fields, and the class is read from all after field {columns.label}, such as {first}. "
        "If that is wrong, write a first line that names the columns"
    )


def _raise_for_several_classes(classes: Iterable[Sequence[str]], separator: str) -> None:
    """Refuse lines with several classes: each of them is also the only class of another line.

    Raises:
        FormatError: there are such lines, and none with another separator in its class.
    """
    lines = [tuple(map(str.strip, fields)) for fields in classes]
    alone = {fields[0] for fields in lines if len(fields) == 1}
    several = [fields for fields in lines if len(fields) > 1]
    if several and alone.issuperset(name for fields in several for name in fields):
        raise FormatError(
            f"has lines with several classes, such as {excerpt(separator.join(several[0]))}: choose one class for each"
        )


def _is_no_name(field: str) -> bool:
    return is_number(field) or field.lower() in SPLITS | {"true", "false"}
