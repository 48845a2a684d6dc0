"""JSON for VoTT and COCO: parse the file, and check values while reading them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

from vott_trainer.annotations import limits
from vott_trainer.annotations.model import FormatError, LimitExceededError
from vott_trainer.annotations.values import excerpt, number

T = TypeVar("T")


def load(path: Path) -> Any:
    """Parse the file.

    Raises:
        FormatError: it is not JSON (with line and column), or an object has the same name twice.
        LimitExceededError: it is too large.
    """
    if path.stat().st_size > limits.MAX_JSON_BYTES:
        raise LimitExceededError(
            f"is larger than {limits.MAX_JSON_BYTES >> 20} MiB, the limit for JSON; CSV may be larger"
        )
    try:
        return json.loads(_text(path.read_bytes()), object_pairs_hook=_object)
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


def size_of(value: Any) -> tuple[float, float] | None:
    """Return the positive `width` and `height` of an object, None unless it has both."""
    try:
        width, height = number("width", value["width"]), number("height", value["height"])
    except (FormatError, KeyError, TypeError):
        return None
    return (width, height) if width > 0 and height > 0 else None
