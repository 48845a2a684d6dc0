"""JSON values that no field may hold, by the interoperability rules of RFC 7493, and the paths to fields in error texts.

Refused are duplicate names, numbers beyond a double, NUL characters, halves of surrogate pairs and deep nesting: JSON parsers
disagree about them, and etcd can't store some of them.
"""

import re
import sys
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 32
TYPE_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

_Path = tuple[Any, ...]
"""(path of the container, name or index), or () for the root. Linked, so that a path is built only for an error."""


class FieldError(Exception):
    """A field is invalid; the text is a sentence for the sender, without its full stop."""


class AmbiguousObject(dict[str, Any]):
    """A JSON object with duplicate names; it holds the last value of each."""

    repeated: frozenset[str] = frozenset()


def type_name(value: object) -> str:
    """JSON's name for the type of `value`."""
    return TYPE_NAMES.get(type(value), "null")


def check_values(root: dict[str, Any]) -> None:
    """Check all values, unused fields included. Raises FieldError, which names the field by its path."""
    level: list[tuple[object, _Path]] = [(root, ())]
    for _ in range(MAX_DEPTH + 1):  # the root, and MAX_DEPTH levels from each field on
        for value, path in level:
            _check(value, path)
        level = [child for value, path in level for child in _children(value, path)]
    if level:
        raise FieldError(f"{_field(_top(level[0][1]))} is nested more than {MAX_DEPTH} levels deep; flatten it")


def texts(root: object) -> Iterator[tuple[str, str]]:
    """All strings in a value, names included, with their paths as error texts may show them."""
    level: list[tuple[object, _Path]] = [(root, ())]
    while level:
        for value, path in level:
            if isinstance(value, str):
                yield value, _path_text(path)
            elif isinstance(value, dict):
                yield from ((name, _path_text((path, name))) for name in value)
        level = [child for value, path in level for child in _children(value, path)]


def count_values(root: object) -> int:
    """Number of values within a value, at all levels."""
    count, level = 0, [root]
    while level:
        containers = (
            item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)
        )
        level = [child for container in containers for child in container]
        count += len(level)
    return count


def _check(value: object, path: _Path) -> None:
    if isinstance(value, str):
        if problem := _text_problem(value):
            raise FieldError(f"{_field(path)} contains {problem}")
    elif isinstance(value, dict):
        _check_names(value, path)
    elif isinstance(value, int | float) and not abs(value) <= sys.float_info.max:
        text = "is not a finite number (NaN, infinite or beyond 1.8e308); send a finite number or omit it"
        raise FieldError(f"{_field(path)} {text}")


def _check_names(value: dict[str, Any], path: _Path) -> None:
    if isinstance(value, AmbiguousObject):
        raise FieldError(f"{_field((path, min(value.repeated)))} appears twice; send it once")
    for name in value:
        if problem := _text_problem(name):
            raise FieldError(f"{_field((path, name))} has a name that contains {problem}")


def _text_problem(text: str) -> str:
    if "\0" in text:
        return "a NUL character; remove it"
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return "half of a surrogate pair (\\ud800 to \\udfff); send whole characters"
    return ""


def _children(value: object, path: _Path) -> list[tuple[object, _Path]]:
    if isinstance(value, dict):
        return [(item, (path, name)) for name, item in value.items()]
    return [(item, (path, index)) for index, item in enumerate(value)] if isinstance(value, list) else []


def _top(path: _Path) -> _Path:
    while path[0]:
        path = path[0]
    return path


def _field(path: _Path) -> str:
    return f'Field "{_path_text(path)}"'


def _path_text(path: _Path) -> str:
    parts: list[str] = []
    while path:
        path, part = path
        parts.append(f"[{part}]" if isinstance(part, int) else f".{name_text(part)}")
    return "".join(reversed(parts)).removeprefix(".")


def name_text(name: str) -> str:
    """The name, unless it is long or unusual: then it may be anything, even a credential."""
    return name if PLAIN_NAME.fullmatch(name) else "(a long or odd name)"
