"""The fields of a message under their documented names.

Serializers write names as their language does (`Annotations`, `project_id`), forms send what nobody filled in as an empty text, and
what was copied or read from a file may have blanks around it.
"""

import re
from collections.abc import Mapping
from typing import Any

from vott_messaging.errors import MessageRejectedError
from vott_messaging.messages.decoding import unwrap
from vott_messaging.messages.digest import canonical_json
from vott_messaging.messages.json_values import AmbiguousObject, FieldError
from vott_messaging.messages.url_template import PLACEHOLDERS

NAMES = (*PLACEHOLDERS, "annotations", "url", "model", "status", "plugin", "plugin_name", "parameters")
"""The fields that make up a message's content; all others are ignored."""


def _spellings(name: str) -> list[str]:
    words = re.split("_|(?=[A-Z])", name)
    return [divider.join(words).lower() for divider in ("", "_", "-")]


_USUAL_NAMES = {spelling: name for name in NAMES for spelling in _spellings(name)}


def usual_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value, under their documented names; an AmbiguousObject if one has several values."""
    result: dict[str, Any] = {}
    repeated = {_usual_name(name) for name in _repeated(fields)}
    for name, item in fields.items():
        usual = _usual_name(name)
        value = _usual_value(usual, item)
        if usual is None or value is None:
            continue
        if usual not in result:
            result[usual] = value
        elif _differ(result[usual], value):
            repeated.add(usual)
    if not repeated:
        return result
    ambiguous = AmbiguousObject(result)
    ambiguous.repeated = frozenset(name for name in repeated if name)
    return ambiguous


def check_spellings(fields: Mapping[str, Any]) -> None:
    """Raise FieldError if a field has several spellings with different values: which of them counts would be a guess."""
    for name in sorted(_repeated(usual_fields(fields))):
        spellings = " and ".join(f'"{spelling}"' for spelling in fields if _usual_name(spelling) == name)
        raise FieldError(f'Field "{name}" appears twice with different values, as {spellings}; send it once')


def _usual_name(name: str) -> str | None:
    return _USUAL_NAMES.get(name.strip().lower())


def _usual_value(name: str | None, value: Any) -> Any:
    """The value without blanks around it, and parameters in a text as an object; None if it is empty."""
    # Ids stay as they are, also an empty one: where the queue's settings need it, the sender forgot to fill it in.
    if name in PLACEHOLDERS or not isinstance(value, str):
        return value
    text = value.strip().strip("\ufeff").strip()
    return object_in(text) if name == "parameters" and text else text or None


def object_in(text: str) -> Any:
    """The JSON object in a text, wrapped or not, for senders whose field is a text; None for null; else the text itself."""
    try:
        value = unwrap(text)
    except (MessageRejectedError, RecursionError):
        return text
    return value if value is None or isinstance(value, dict) else text


def _repeated(fields: Mapping[str, Any]) -> frozenset[str]:
    return fields.repeated if isinstance(fields, AmbiguousObject) else frozenset()


def _differ(first: object, second: object) -> bool:
    try:
        return canonical_json(first) != canonical_json(second)
    except RecursionError:
        return True
