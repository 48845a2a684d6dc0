"""Numbers, class names, boxes and excerpts: the same rules in every format."""

import math
import unicodedata
from typing import Any

from vott_guard.redaction import redact_url
from vott_trainer.annotations.class_names import canonical
from vott_trainer.annotations.limits import MAX_COORDINATE, MAX_LABEL_LENGTH
from vott_trainer.annotations.model import Box, FormatError, Outline, Size

_NOT_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, lone surrogates, line separators
# They change the direction of the text after them: https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
_BIDIRECTIONAL = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def number(name: str, value: Any) -> float:
    """Parse a number of pixels from text or JSON.

    Raises:
        FormatError: `value` is not a number, or out of range.
    """
    try:
        pixels = float(value) if _may_be_number(value) else math.nan
    except (ValueError, OverflowError):
        pixels = math.nan
    if not abs(pixels) <= MAX_COORDINATE:
        raise FormatError(f"expected {name} to be a number of pixels, found {excerpt(value)}")
    return pixels


def is_number(text: str) -> bool:
    """Whether a text is a number of pixels."""
    try:
        number("", text)
    except FormatError:
        return False
    return True


def size(width: Any, height: Any) -> Size | None:
    """Parse the size of an image; None where it is missing, zero or no number, since the image itself has it, too."""
    try:
        found = number("width", width), number("height", height)
    except FormatError:
        return None
    return found if min(found) > 0 else None


def _may_be_number(value: Any) -> bool:
    return (
        "_" not in value if isinstance(value, str) else isinstance(value, int | float) and not isinstance(value, bool)
    )


def label(value: Any) -> str:
    """Parse a class name into its one spelling.

    Raises:
        FormatError: it is missing, too long, or not a single line of text.
    """
    text = value.strip() if isinstance(value, str) else value
    if text is not None and (not isinstance(text, str) or len(text) > MAX_LABEL_LENGTH or not is_single_line(text)):
        raise FormatError(
            f"expected a class name of up to {MAX_LABEL_LENGTH} characters on one line, found {excerpt(value)}"
        )
    if not (name := canonical(text or "")):
        raise FormatError("expected a class name, found nothing")
    return name


def label_of_json(value: Any) -> str:
    """Parse a class name that JSON may have as a number.

    Raises:
        FormatError: as `label`.
    """
    return label(str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value)


def is_single_line(value: str) -> bool:
    """Whether `value` is one line of UTF-8 text, without control characters and without bidirectional ones."""
    return value.isprintable() or not any(
        unicodedata.category(character) in _NOT_TEXT or unicodedata.bidirectional(character) in _BIDIRECTIONAL
        for character in value
    )


def box(x: float, y: float, width: float, height: float, name: str, outline: Outline | None = None) -> Box:
    """Make a box from its upper left corner and its size.

    Raises:
        FormatError: a side is negative. One of 0 is no error: `data.box_checks` leaves the box out.
    """
    for side, pixels in (("width", width), ("height", height)):
        if pixels < 0:
            raise FormatError(f"expected {side} to be at least 0, found {pixels:g}")
    return Box(x, y, width, height, name, outline)


def box_of_corners(x1: float, y1: float, x2: float, y2: float, name: str) -> Box:
    """Make a box from its upper left and its lower right corner.

    Raises:
        FormatError: the corners are swapped. On a line, or in a point, they are no error: `data.box_checks` leaves the box out.
    """
    for axis, low, high in (("x", x1, x2), ("y", y1, y2)):
        if high < low:
            raise FormatError(f"expected the second {axis} to be at least the first, found {low:g} and {high:g}")
    return Box(x1, y1, x2 - x1, y2 - y1, name)


def excerpt(value: Any) -> str:
    """Quote a value for an error: shortened, on one line, a URL without its query. A name without host keeps its #."""
    text = str(value)[:2000] if isinstance(value, str | int | float) else type(value).__name__
    text = redact_url(text) if "//" in text else text.partition("?")[0]
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
