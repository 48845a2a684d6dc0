"""What the JSON dialects have in common: reading the file, and asking a value to be what it should be."""

import json
from pathlib import Path
from typing import Any, TypeVar

from vott_trainer.annotations.model import Fault
from vott_trainer.annotations.values import excerpt, number

LIMIT = 512 << 20  # bytes; parsed at once, it takes about ten times that much memory
T = TypeVar("T")


def load(path: Path) -> Any:
    """Return the parsed file.

    Raises:
        Fault: it is too large, or no JSON; names line and column.
    """
    if path.stat().st_size > LIMIT:
        raise Fault(f"is larger than {LIMIT >> 20} MiB, the limit for JSON: export it as CSV, which has no such limit")
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise Fault(f"line {error.lineno} column {error.colno}: expected JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise Fault(
            f"byte {error.start}: expected text in UTF-8, found the byte 0x{error.object[error.start]:02x}"
        ) from error
    except RecursionError as error:
        raise Fault("expected JSON, found lists within lists without end") from error
    except ValueError as error:  # a number of thousands of digits
        raise Fault(f"expected JSON ({error})") from error


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
