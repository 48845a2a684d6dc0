"""Messages between the processes of a training: JSON text, validated on receipt.

Not pickle, which torch.distributed's object collectives use: unpickling runs code.
"""

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from vott_trainer.errors import TrainerError

T = TypeVar("T")


def encode(message: Any, kind: type) -> str:
    """Encode a message, such as a dataclass, as JSON text."""
    value = TypeAdapter(kind).dump_python(message, mode="json")  # not dump_json: NaN and lone surrogates pass
    return json.dumps(value)


def decode(text: str, kind: type[T]) -> T:
    """Decode a message of another process.

    Raises:
        TrainerError: it is not a `kind`.
    """
    try:
        return TypeAdapter(kind).validate_python(json.loads(text))
    except (ValidationError, ValueError) as error:
        raise TrainerError(
            f"Another process of this training sent an invalid {kind.__name__}: {_first(error)}. "
            "Check that all pods run the same trainer image."
        ) from error


def _first(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        details = error.errors(include_url=False, include_input=False)[0]
        return ": ".join((".".join(str(part) for part in details["loc"]) or "message", details["msg"]))
    return str(error)
