"""JSON and JSON lines: parse the file, and check values while reading them."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from vott_trainer.annotations import limits
from vott_trainer.annotations.model import FormatError, LimitExceededError, Size
from vott_trainer.annotations.values import excerpt, size

T = TypeVar("T")

_SPACE = re.compile(r"[ \t\n\r]*")


def load(path: Path) -> Any:
    """Parse the file: a value, or the list of several that follow each other (JSON lines).

    Raises:
        FormatError: it is not JSON (with line and column), or an object has the same name twice.
        LimitExceededError: it is too large.
    """
    if path.stat().st_size > limits.MAX_JSON_BYTES:
        raise LimitExceededError(
            f"is larger than {limits.MAX_JSON_BYTES >> 20} MiB, the limit for JSON; CSV may be larger"
        )
    try:
        first, *others = _values(_text(path.read_bytes()))
    except json.JSONDecodeError as error:
        raise FormatError(f"line {error.lineno} column {error.colno}: expected JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise FormatError(
            f"byte {error.start}: expected text in UTF-8, found the byte 0x{error.object[error.start]:02x}"
        ) from error
    except RecursionError as error:
        raise FormatError("expected JSON, found lists or objects nested too deeply") from error
    except ValueError as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError("expected JSON, found a number with thousands of digits") from error
    return [first, *others] if others else first


def _values(text: str) -> Iterator[Any]:
    """Yield at least one value."""
    decoder, end = json.JSONDecoder(object_pairs_hook=_object), _after_space(text, 0)
    while True:
        value, end = decoder.raw_decode(text, end)
        yield value
        if (end := _after_space(text, end)) == len(text):
            return


def _after_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _text(content: bytes) -> str:
    if sum(map(content.count, (b"{", b"[", b":"))) > limits.MAX_JSON_PARTS:
        raise LimitExceededError(f"has more than {limits.MAX_JSON_PARTS:,} objects, lists and names")
    return content.decode("utf-8-sig")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        (repeated, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise FormatError(f"expected unique names in an object, found {excerpt(repeated)} twice")
    return values


def member(value: Any, name: str, kind: type[T], description: str) -> T:
    """Return `value[name]`.

    Args:
        description: the expected value, for the error.

    Raises:
        FormatError: it is missing, or not a `kind`.
    """
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise FormatError(
            f"expected {name} to be {description}, found {excerpt(found) if found is not None else 'nothing'}"
        )
    return found


def records(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, or the only one; an empty object in place of any other value, so that its place stays countable."""
    return [item if isinstance(item, dict) else {} for item in (value if isinstance(value, list) else [value])]


def size_of(value: Any) -> Size | None:
    """Return the positive `width` and `height` of an object, None unless it has both."""
    return size(value.get("width"), value.get("height")) if isinstance(value, dict) else None
