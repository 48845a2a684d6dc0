"""Explain pydantic's validation errors of settings to the administrator."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError


def explain(error: ValidationError) -> str:
    """What is wrong with every setting, each with its path, such as queues[1].model."""
    return "; ".join(_problem(dict(item)) for item in error.errors(include_url=False))


def _problem(error: Mapping[str, Any]) -> str:
    """A sentence that starts with the setting's path."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]]
    path = "".join(parts).removeprefix(".")
    text = "unknown setting" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    # A validator's text may go on with the path, or name several settings itself.
    if not path or text.startswith(("[", ".")):
        return f"{path}{text}"
    return f"{path}{' ' if error['type'] == 'value_error' else ': '}{text}"
