"""Numbers as spreadsheets write them in different languages: with decimal commas, and with separators of thousands."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from vott_trainer.annotations.values import is_number

_BLANK_IN_NUMBER = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f'\u2019](?=\d{3}(?!\d))")  # it can only separate thousands
_WITH_COMMA = re.compile(r"[+-]?(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+),\d+(?:E[+-]?\d+)?", re.IGNORECASE)
_COMMA_OF_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_POINT_OF_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+")


class NumberStyle(NamedTuple):
    """How a file's numbers are written.

    Attributes:
        decimal_comma: whether commas separate decimals.
        thousands: whether points separate thousands.
    """

    decimal_comma: bool = False
    thousands: bool = False

    def plain(self, text: str) -> str:
        """Return a number as it would be in English, without separators of thousands; another text as it is."""
        text = _BLANK_IN_NUMBER.sub("", text)
        if self.thousands and _POINT_OF_THOUSANDS.fullmatch(text):
            return text.replace(".", "")
        if self.decimal_comma and _WITH_COMMA.fullmatch(text):
            return text.replace(".", "").replace(",", ".")
        return text


ENGLISH = NumberStyle()
ANY_STYLE = NumberStyle(decimal_comma=True)


def may_be_number(text: str) -> bool:
    """Whether a text is a number in some language; a comma may separate decimals or thousands."""
    return is_number(ANY_STYLE.plain(text))


def style_of(texts: Iterable[str]) -> NumberStyle:
    """Return the style of a file's numbers: a comma or a point that may separate thousands tells nothing."""
    numbers = [_BLANK_IN_NUMBER.sub("", text) for text in texts]
    decimal_comma = any(_WITH_COMMA.fullmatch(text) and not _COMMA_OF_THOUSANDS.fullmatch(text) for text in numbers)
    return NumberStyle(decimal_comma, thousands=decimal_comma and not _decimal_point(numbers))


def ambiguous(texts: Iterable[str]) -> str | None:
    """Return a number whose point may separate thousands, where all that have one are so, and the others are whole and of three digits."""
    numbers = [_BLANK_IN_NUMBER.sub("", text) for text in texts]
    with_point = [text for text in numbers if "." in text and (is_number(text) or _POINT_OF_THOUSANDS.fullmatch(text))]
    whole = any(text.isdigit() and len(text) == 3 for text in numbers)
    return with_point[0] if with_point and whole and not _decimal_point(with_point) else None


def _decimal_point(numbers: Iterable[str]) -> bool:
    """Whether a point separates decimals for sure."""
    return any(is_number(text) and "." in text and not _POINT_OF_THOUSANDS.fullmatch(text) for text in numbers)
