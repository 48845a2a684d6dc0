"""CSV files, read line by line: formats with a header, and those with a fixed order of columns."""

import functools
from pathlib import Path

from vott_trainer.annotations import csv_lines, limits
from vott_trainer.annotations.csv_detection import detect, looks_like_header
from vott_trainer.annotations.csv_header import COLUMNS, WITH_HEADER, Columns, HeaderError, normalized
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Entries, FormatError, LimitExceededError


def entries(path: Path, kind: str | None, urls: ImageUrls) -> Entries:
    """Yield the row or error of each line that is not blank.

    Args:
        kind: a key of `COLUMNS`; None detects it from the first lines.

    Raises:
        FormatError: the header is missing or invalid.
        LimitExceededError: there are too many lines.
    """
    resolve = functools.lru_cache(urls.resolve)  # an image's lines follow each other
    with path.open("rb") as file:
        detected, separator = detect(csv_lines.lines(file))
        file.seek(0)
        kind = kind or detected
        columns, first = Columns.of(COLUMNS[kind], separator), True
        for count, line in enumerate(csv_lines.lines(file), start=1):
            if count > limits.MAX_ENTRIES:
                raise LimitExceededError(f"has more than {limits.MAX_ENTRIES:,} lines")
            try:
                fields = csv_lines.fields(line, separator)
                if fields and first and (kind == WITH_HEADER or looks_like_header(fields)):
                    columns = Columns.of(normalized(fields), separator)
                elif fields:
                    yield f"line {count}", columns.row(fields, resolve)
                first = first and not fields
            except HeaderError as error:
                raise FormatError(f"line {count}: {error}") from error
            except FormatError as error:
                first = False
                yield f"line {count}", error
