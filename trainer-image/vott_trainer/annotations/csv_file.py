"""CSV files, read line by line: with a header, or in an order of columns that their first lines show."""

import functools
import itertools
from pathlib import Path

from vott_trainer.annotations import csv_lines, limits
from vott_trainer.annotations.csv_columns import Columns
from vott_trainer.annotations.csv_detection import Layout, detect, is_comment
from vott_trainer.annotations.csv_names import is_header
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Box, Entries, FormatError, LimitExceededError, Note

MIN_BOXES = 10  # that differ, to doubt the order of the columns


def entries(path: Path, kind: str | None, urls: ImageUrls) -> Entries:
    """Yield the row or error of each line that is neither blank nor a comment, and notes on the file.

    Args:
        kind: a key of `csv_names.COLUMNS`; None detects it from the first lines.

    Raises:
        FormatError: the header is missing or invalid, or the columns have an unknown order.
        LimitExceededError: there are too many lines.
    """
    resolve = functools.lru_cache(urls.resolve)  # an image's lines follow each other
    with path.open("rb") as file:
        layout = detect(csv_lines.lines(file), kind)
        yield from (("", note) for note in layout.notes)
        doubt = _Doubt(layout)
        file.seek(0)
        lines = itertools.islice(csv_lines.lines(file), layout.start, None)
        for number, record in csv_lines.records(lines, layout.columns.separator, layout.start + 1):
            if number > limits.MAX_ENTRIES:
                raise LimitExceededError(f"has more than {limits.MAX_ENTRIES:,} lines")
            if record.lstrip().startswith(b"#") and is_comment(record, layout.columns.separator):
                continue
            try:
                fields = csv_lines.fields(record, layout.columns.separator)
                if not any(map(str.strip, fields)) or fields == layout.header:
                    continue
                row = layout.columns.row(fields, resolve)
            except FormatError as error:
                _raise_for_header(number, record, layout.columns)
                yield f"line {number}", error
            else:
                if row.label:  # a header may be taken for the class of an image
                    _raise_for_header(number, record, layout.columns)
                doubt.inspect(row.box)
                yield f"line {number}", row
        yield from (("", note) for note in doubt.notes())


def _raise_for_header(number: int, record: bytes, columns: Columns) -> None:
    """Refuse a file that was joined from files with different columns.

    Raises:
        FormatError: a line names other columns than those before it have.
    """
    if is_header(record.decode(errors="replace").split(columns.separator)):
        raise FormatError(
            f"line {number}: names other columns than the lines before it have: join only files with the same columns"
        )


class _Doubt:
    """Whether boxes whose order of numbers is only assumed could all be two corners."""

    def __init__(self, layout: Layout) -> None:
        self._may_be_corners = layout.is_assumed
        self._places: set[tuple[float, float, float, float]] = set()

    def inspect(self, box: Box | None) -> None:
        if box and self._may_be_corners:
            self._may_be_corners = box.width >= box.x and box.height >= box.y
            if len(self._places) < MIN_BOXES:
                self._places.add((box.x, box.y, box.width, box.height))

    def notes(self) -> list[Note]:
        if not self._may_be_corners or len(self._places) < MIN_BOXES:
            return []
        return [
            Note(
                "the numbers are read as x,y,width,height, but all of them could be two corners as well. If they are, "
                "set the parameter annotationFormat to corners, or name the columns in a first line"
            )
        ]
