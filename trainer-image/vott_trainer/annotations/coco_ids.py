"""Ids in COCO files. Tools write one id as 7, 7.0 or "7"; files that were put together by hand use one id twice."""

import re
from typing import Any, Generic, TypeVar

from vott_trainer.annotations.limits import MAX_ID
from vott_trainer.annotations.model import FormatError
from vott_trainer.annotations.values import excerpt

T = TypeVar("T")

_WHOLE = re.compile(r"([+-]?[0-9]+)\.0*")


class AmbiguousIdError(FormatError):
    """An id is that of two different items: the file says nothing about either."""


class Ids(Generic[T]):
    """The images or the categories of a file by id; those that are equal are one.

    Args:
        kind: `image` or `category`, for errors.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._items: dict[str, tuple[T, str]] = {}

    def add(self, value: Any, item: T, name: str) -> None:
        """Add an item; one that is there already may be repeated.

        Raises:
            FormatError: `value` is no id.
            AmbiguousIdError: it is that of another item.
        """
        found, first = self._items.setdefault(key(value, "id"), (item, name))
        if found != item:
            several = {"image": "images", "category": "categories"}[self._kind]
            raise AmbiguousIdError(
                f"has two {several} with the id {excerpt(value)}: {excerpt(first)} and {excerpt(name)}. "
                "If the file was put together from several, give the ids of each a number of its own to begin with"
            )

    def find(self, value: Any) -> T | None:
        """Return the item with an id, None if there is none.

        Raises:
            FormatError: `value` is no id.
        """
        found = self._items.get(key(value, f"{self._kind}_id"))
        return found[0] if found else None


def key(value: Any, name: str) -> str:
    """Return an id as text, without the decimals of a whole number.

    Args:
        name: of the field, for the error.

    Raises:
        FormatError: it is neither a number nor text, or a number that JSON readers round.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        found = excerpt(value) if value is not None else "nothing"
        raise FormatError(f"expected {name} to be a number or text, found {found}")
    if isinstance(value, str):
        text = value.strip()
        return whole[1] if (whole := _WHOLE.fullmatch(text)) else text
    if not abs(value) <= MAX_ID:
        raise FormatError(f"expected {name} to be at most {MAX_ID}, found {excerpt(value)}")
    return str(int(value) if value == int(value) else value)
