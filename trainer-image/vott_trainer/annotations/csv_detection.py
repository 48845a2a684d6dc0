"""Detection of a CSV file's separator, columns and numbers from its first lines."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from vott_trainer.annotations import csv_lines, csv_names, csv_orders
from vott_trainer.annotations.csv_columns import Columns, HeaderError, without_empty_end
from vott_trainer.annotations.csv_evidence import fits, mostly, refined
from vott_trainer.annotations.csv_numbers import ANY_STYLE
from vott_trainer.annotations.csv_orders import CLASSES, DEFAULT, UNKNOWN, Order, order_of
from vott_trainer.annotations.model import FormatError, Note
from vott_trainer.annotations.name_readings import is_image_name
from vott_trainer.annotations.values import excerpt, is_number

SEPARATORS = ",;\t|"
MAX_LINES, MAX_BYTES = 1000, 1 << 18  # of the sample
_EXAMPLE = ",".join(csv_names.COLUMNS[csv_names.WITH_HEADER])
_FILE = re.compile(r"\S+\.\w+\"?")
_DIGIT = re.compile(r"\d")

Rows = Sequence[tuple[int, list[str]]]
"""The first lines: their numbers and fields."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file's lines are read.

    Attributes:
        start: how many lines come before the header, or before the first line with data.
        header: its fields; they may come again where files were joined.
        is_assumed: whether only the documented order says what the four numbers of a box mean.
    """

    columns: Columns
    start: int
    header: Sequence[str]
    notes: Sequence[Note]
    is_assumed: bool


def detect(lines: Iterable[bytes], kind: str | None) -> Layout:
    """Find out a file's layout from its first lines.

    Args:
        kind: a key of `COLUMNS`, where the message names the format.

    Raises:
        FormatError: the header is missing or invalid, or the columns have an order that can't be known.
    """
    sample = list(_sample(lines))
    start, named = _preamble(sample)
    separator = _separator(sample[start:], named)
    rows = list(_rows(sample, start, separator))
    header: Sequence[str] = ()
    before: list[Note] = []
    is_assumed = False
    if (position := _position_of_header(rows, kind)) is not None:
        number, header = rows[position]
        if position:
            before = [Note(f"the lines before line {number}, which names the columns, are ignored")]
            start = number - 1
        rows = rows[position + 1 :]
        columns = _of_header(number, header, separator, rows)
    elif kind:
        columns = Columns.of(csv_names.COLUMNS[kind], separator)
    else:
        order = _order(sample[start:], rows, separator)
        columns = replace(Columns.of(order.names, separator), normalized=order.normalized)
        is_assumed = order is DEFAULT or order.names[-6:] == DEFAULT.names
    columns, notes = refined(columns, [fields for _, fields in rows])
    return Layout(columns, start, header, before + notes, is_assumed)


def looks_like_header(fields: Sequence[str]) -> bool:
    """Whether a line holds column names, valid or not."""
    names = without_empty_end(fields)
    return csv_names.is_header(names) or (
        (csv_names.is_known(names) or len(names) >= 6)
        and not any(is_number(name) or csv_orders.is_image(name.strip()) or not name.strip() for name in names)
    )


def _position_of_header(rows: Rows, kind: str | None) -> int | None:
    """Return where the header is: in the first row, or after a title, if no line before it may hold data."""
    before = itertools.takewhile(lambda row: not order_of(row[1]), rows)
    position = next((position for position, (_, fields) in enumerate(before) if csv_names.is_header(fields)), None)
    if position is None and rows and (kind == csv_names.WITH_HEADER or looks_like_header(rows[0][1])):
        return 0
    return position


def is_comment(line: bytes, separator: str) -> bool:
    """Whether a line is a comment: it begins with #, and is neither a header nor a line of an image."""
    try:
        fields = csv_lines.fields(line, separator)
    except FormatError:
        return False
    if not fields or not fields[0].startswith("#") or csv_names.is_header(fields):
        return False
    return order_of(fields) in (None, CLASSES) and not csv_orders.has_image_name(fields[0])


def _sample(lines: Iterable[bytes]) -> Iterator[bytes]:
    taken = 0
    for line in itertools.islice(lines, MAX_LINES):
        yield line
        taken += len(line)
        if taken > MAX_BYTES:
            return


def _preamble(sample: Sequence[bytes]) -> tuple[int, str | None]:
    """Return the number of lines before the first one with columns, and the separator that one of them names."""
    separator = None
    for number, line in enumerate(sample):
        if named := csv_lines.named_separator(line):
            separator = named
        elif line.strip(b"\xef\xbb\xbf \t\r\n\0") and not all(is_comment(line, known) for known in SEPARATORS):
            return number, separator
    return len(sample), separator


def _separator(sample: Iterable[bytes], named: str | None) -> str:
    """Return the separator by which the first line that shows something shows most."""
    separators: list[str] = [named or SEPARATORS[0], *SEPARATORS]
    for line in sample:
        shown = [(rank, separator) for separator in separators if (rank := _rank(line, separator)) is not None]
        if shown:
            return min(shown, key=lambda candidate: candidate[0])[1]
    return separators[0]


def _rank(line: bytes, separator: str) -> int | None:
    try:
        fields = csv_lines.fields(line, separator)
    except FormatError:
        return None
    if csv_names.is_header(fields):
        return 0
    if (order := order_of(fields)) is None:
        return None
    # `a.jpg;1;2;3;4;cat, black` also has two fields.
    return {CLASSES.names: 1, UNKNOWN.names: 2}.get(order.names, 0)


def _rows(sample: Sequence[bytes], start: int, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that can be read.

    Raises:
        FormatError: the header is none of them.
    """
    for count, (number, record) in enumerate(csv_lines.records(sample[start:], separator, start + 1)):
        try:
            if fields := csv_lines.fields(record, separator):
                yield number, fields
        except FormatError as error:
            if count == 0 and looks_like_header(record.decode(errors="replace").split(separator)):
                raise FormatError(f"line {number}: {error}") from error


def _of_header(number: int, header: Sequence[str], separator: str, rows: Rows) -> Columns:
    try:
        return Columns.of(header, separator)
    except HeaderError as error:
        flags = [field.strip() for _, fields in rows for field in fields[1:]]
        if flags and set(flags) == {"0", "1"} and len(header) > 2:
            what = "looks like one column of 0 and 1 for each class, expected one column with the class of each image, named label"
            raise FormatError(f"line {number}: {what}") from error
        raise FormatError(f"line {number}: {error}") from error


def _order(sample: Iterable[bytes], rows: Rows, separator: str) -> Order:
    """Return the order that most lines show.

    Raises:
        FormatError: it is none that is known.
    """
    votes = Counter(order for _, fields in rows if (order := order_of(fields)))
    if not votes:
        _raise_for_blanks(sample)
        _raise_for_list_of_classes(rows)
        return DEFAULT
    order = votes.most_common(1)[0][0]
    number, fields = rows[0]
    is_data = order_of(fields) or any(csv_orders.is_image(field.strip()) for field in fields)
    if not is_data and order.names[-2:] == CLASSES.names:
        raise FormatError(
            f"line {number}: expected the image and the class, or their names such as url,class, found {excerpt(separator.join(fields))}"
        )
    if order is UNKNOWN or not _is_confirmed(order, rows, separator):
        number, fields = next((number, fields) for number, fields in rows if order_of(fields) == order)
        raise FormatError(
            f"line {number}: expected {','.join(DEFAULT.names)}, found the columns in another order: {excerpt(separator.join(fields))}. "
            f"Write a first line that names them, such as {_EXAMPLE}"
        )
    return order


def _is_confirmed(order: Order, rows: Rows, separator: str) -> bool:
    """Whether the values of the lines in this order agree with it."""
    columns = replace(Columns.of(order.names, separator), style=ANY_STYLE)
    boxes = [fields for _, fields in rows if order_of(fields) == order]
    if order.normalized:
        return mostly(0 <= value <= 1 for fields in boxes for value in columns.numbers(fields, columns.box or ()))
    return not order.sized or mostly(fits(columns, fields) for fields in boxes)


def _raise_for_list_of_classes(rows: Rows) -> None:
    """Refuse what RetinaNet keeps beside its annotations: a class and its number on each line."""
    if rows and all(len(fields) == 2 and fields[1].strip().isdigit() for _, fields in rows):
        raise FormatError("is a list of classes and their numbers: send the file with the images and their boxes")


def _raise_for_blanks(sample: Iterable[bytes]) -> None:
    line = next(iter(sample), b"").decode(errors="replace").strip("\ufeff")
    first, *others = line.split() or [""]
    numbers = others[:-1] or others  # the last may be a class
    is_list = others and is_image_name(first)
    if is_list or (numbers and _FILE.fullmatch(first) and all(map(_DIGIT.search, numbers))):
        raise FormatError(f"line 1: expected commas between the fields, found blanks: {excerpt(line.strip())}")
