"""A message in a field of another object, as event services and message buses send it. It is refused, but known by its place."""

from collections.abc import Mapping
from typing import Any

from vott_messaging.messages.fields import object_in, usual_fields
from vott_messaging.messages.json_values import name_text


def message_within(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The name of the only field that holds a message, as error texts may show it, and that message's `usual_fields`.

    None if `fields` are themselves a message, or no one field holds one.
    """
    if _is_message(usual_fields(fields)):
        return None
    found = []
    for name, item in fields.items():
        value = object_in(item) if isinstance(item, str) else item
        if isinstance(value, dict) and _is_message(inner := usual_fields(value)):
            found.append((name_text(name), inner))
    return found[0] if len(found) == 1 else None


def _is_message(fields: Mapping[str, Any]) -> bool:
    return "annotations" in fields or "url" in fields
