"""Numbers, class names and excerpts: the same rules in every dialect."""

import math
import sys
import unicodedata
from typing import Any

from vott_trainer.annotations.model import Box, Fault
from vott_trainer.http.urls import redact_url

FARTHEST = 1e7  # pixels; no image is larger, and sums stay exact
LONGEST_LABEL = 200  # characters
_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, halves of surrogate pairs, line separators
# They turn the text that follows around, where a name is shown among others (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing).
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def number(name: str, value: Any) -> float:
    """Return a number of pixels, read from text or JSON.

    Raises:
        Fault: it is none, or a senseless one.
    """
    try:
        read = float(value) if _may_be_number(value) else math.nan
    except (ValueError, OverflowError):
        read = math.nan
    if not abs(read) <= FARTHEST:
        raise Fault(f"expected {name} to be a number of pixels, found {excerpt(value)}")
    return read


def _may_be_number(value: Any) -> bool:
    return (
        "_" not in value if isinstance(value, str) else isinstance(value, int | float) and not isinstance(value, bool)
    )


def label(value: Any) -> str:
    """Return a class name.

    Raises:
        Fault: it is missing, too long, or holds what no line of text can hold.
    """
    text = value.strip() if isinstance(value, str) else value
    if text is None or text == "":
        raise Fault("expected a class name, found nothing")
    if not isinstance(text, str) or len(text) > LONGEST_LABEL or not is_text(text):
        raise Fault(f"expected a class name of up to {LONGEST_LABEL} characters in one line, found {excerpt(value)}")
    return sys.intern(text)  # a file may say it a million times


def is_text(value: str) -> bool:
    """Return whether `value` fits into one line of UTF-8 text."""
    return value.isprintable() or not any(
        unicodedata.category(character) in _NO_TEXT or unicodedata.bidirectional(character) in _TURNING
        for character in value
    )


def box(x: float, y: float, width: float, height: float, name: str) -> Box:
    """Return a box that has an area.

    Raises:
        Fault: it has none.
    """
    for side, pixels in (("width", width), ("height", height)):
        if pixels <= 0:
            raise Fault(f"expected {side} to be greater than 0, found {pixels:g}")
    return Box(x, y, width, height, name)


def box_of_corners(x1: float, y1: float, x2: float, y2: float, name: str) -> Box:
    """Return the box between its upper left and its lower right corner.

    Raises:
        Fault: the corners lie the other way around, or upon each other.
    """
    for axis, low, high in (("x", x1, x2), ("y", y1, y2)):
        if high <= low:
            raise Fault(f"expected the second {axis} to be greater than the first, found {low:g} and {high:g}")
    return Box(x1, y1, x2 - x1, y2 - y1, name)


def excerpt(value: Any) -> str:
    """Return a value as it may be shown: shortened, on one line, without a URL's query."""
    text = redact_url(str(value)[:2000]) if isinstance(value, str | int | float) else type(value).__name__
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
