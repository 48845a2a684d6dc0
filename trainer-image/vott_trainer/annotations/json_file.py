"""What the JSON dialects have in common: reading the file, and asking a value to be what it should be."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

from vott_trainer.annotations.model import Fault, TooMuch
from vott_trainer.annotations.values import excerpt, number

LIMIT = 512 << 20  # bytes; parsed at once, it takes about ten times that much memory
MOST_PARTS = 20_000_000  # objects, lists and names; such a part may take thirty times as much memory as in the file
T = TypeVar("T")


def load(path: Path) -> Any:
    """Return the parsed file.

    Raises:
        Fault: it is no JSON, names line and column; or says the same twice.
        TooMuch: it is larger than what is read at once.
    """
    if path.stat().st_size > LIMIT:
        raise TooMuch(f"is larger than {LIMIT >> 20} MiB, the limit for JSON; CSV may be larger")
    try:
        return json.loads(_text(path.read_bytes()), object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise Fault(f"line {error.lineno} column {error.colno}: expected JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise Fault(
            f"byte {error.start}: expected text in UTF-8, found the byte 0x{error.object[error.start]:02x}"
        ) from error
    except RecursionError as error:
        raise Fault("expected JSON, found lists within lists without end") from error
    except ValueError as error:
        if isinstance(error, Fault):
            raise
        raise Fault("expected JSON, found a number of thousands of digits") from error


def _text(content: bytes) -> str:
    if sum(map(content.count, (b"{", b"[", b":"))) > MOST_PARTS:
        raise TooMuch(f"has more than {MOST_PARTS:,} objects, lists and names")
    return content.decode("utf-8-sig")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise Fault(f"expected each name once in an object, found {excerpt(twice)} twice")
    return found


def part(value: Any, name: str, kind: type[T], what: str) -> T:
    """Return `value[name]`.

    Raises:
        Fault: it is missing, or no `kind`; `what` says in words what that is.
    """
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise Fault(f"expected {name} to be {what}, found {excerpt(found) if found is not None else 'nothing'}")
    return found


def size_of(value: Any) -> tuple[float, float] | None:
    """Return the positive `width` and `height` of an object, None where it does not say both."""
    try:
        width, height = number("width", value["width"]), number("height", value["height"])
    except (Fault, KeyError, TypeError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def box_around(points: list[tuple[float, float]]) -> tuple[float, float, float, float]:
    """Return x, y, width and height of the box around the corners of a polygon."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
