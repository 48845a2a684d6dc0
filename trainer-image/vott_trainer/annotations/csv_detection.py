"""Detection of a CSV file's format, separator and header from its first lines."""

import itertools
import re
from collections.abc import Iterable, Sequence

from vott_guard.urls import is_url
from vott_trainer.annotations import csv_lines
from vott_trainer.annotations.csv_header import ALL_NAMES, WITH_HEADER, is_header, normalized
from vott_trainer.annotations.model import FormatError
from vott_trainer.annotations.values import is_number

SEPARATORS = ",;\t"
_MAX_LINES = 100
_FILE_NAME = re.compile(r"[^<>{}]+\.\w+")


def detect(lines: Iterable[bytes]) -> tuple[str, str]:
    """Return format and separator from the first line that shows them. `corners` looks like `vott-web`, and is taken for it."""
    return next(filter(None, map(_detect, itertools.islice(lines, _MAX_LINES))), ("vott-web", SEPARATORS[0]))


def _detect(line: bytes) -> tuple[str, str] | None:
    candidates = [(kind, separator) for separator in SEPARATORS if (kind := _format(line, separator))]
    # `classes` comes last: `a.jpg;1;2;3;4;cat, black` also has two fields.
    return min(candidates, key=lambda candidate: candidate[0] == "classes", default=None)


def _format(line: bytes, separator: str) -> str | None:
    try:
        fields = [field.strip() for field in csv_lines.fields(line, separator)]
    except FormatError:
        return None
    if is_header(fields):
        return WITH_HEADER
    if len(fields) >= 6 and all(not field or is_number(field.replace(",", ".")) for field in fields[1:5]):
        return "vott-web"
    classes = len(fields) == 2 or (2 < len(fields) < 6 and not is_number(fields[1]))
    return "classes" if classes and _is_image(fields[0]) else None


def looks_like_header(fields: Sequence[str]) -> bool:
    """Whether a line holds column names, valid or not."""
    return is_header(fields) or (
        bool(ALL_NAMES.intersection(normalized(fields)) or len(fields) >= 6)
        and not any(is_number(field) or _is_image(field) or not field.strip() for field in fields)
    )


def _is_image(text: str) -> bool:
    return is_url(text) or bool(_FILE_NAME.fullmatch(text))
