"""Explain pydantic's validation errors of a message to its sender. Values never show: a URL may carry a credential."""

from collections.abc import Mapping
from typing import Any

from vott_messaging.messages.json_values import type_name

EXPECTED = {
    "parameters": 'an object such as {"epochs": 10}',
    "plugin": "a name",
    "plugin_name": "a name",
    "annotations": "an http(s) or s3 URL",
    "model": "an http(s) or s3 URL",
}


def explain(error: Mapping[str, Any]) -> str:
    """One error as a sentence that names the field."""
    name = str(error["loc"][0])
    return f'Field "{name}" {_problem(name, error)}'


def _problem(name: str, error: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind == "missing" and name == "model":
        return "is missing: send the URL for the model, or ask the administrator to set queues[].model"
    if kind == "missing":
        return 'is missing: send the URL of the annotation file as "annotations" (or "url", as VoTT-web does)'
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind in ("string_type", "dict_type"):
        return f"is {type_name(error['input'])}; send {EXPECTED.get(name, 'an http(s) URL')}"
    return "is not a plugin name: send up to 63 letters, digits, dots, underscores and hyphens, with a letter or digit at both ends"
