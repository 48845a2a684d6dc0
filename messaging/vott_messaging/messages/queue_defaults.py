"""The queue's settings for fields that a message leaves out: model, callback, plugin and parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vott_messaging.messages.json_values import AmbiguousObject, FieldError
from vott_messaging.messages.url_template import fill_in, placeholders_in
from vott_messaging.urls import check_http_url, check_store_url


@dataclass(frozen=True, slots=True)
class MessageDefaults:
    """Values for messages that do not set them."""

    model: str = ""
    """Template of the model URL; empty: every message must name its own."""
    callback: str = ""
    """Template of the callback URL; empty, or without the ids that it needs: no callback."""
    plugin: str = ""
    """Plugin of messages that name none."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of that plugin; messages that name another plugin do not get them."""


NO_DEFAULTS = MessageDefaults()


def with_defaults(fields: Mapping[str, Any], defaults: MessageDefaults) -> dict[str, Any]:
    """The `usual_fields`, completed by `defaults`. Raises FieldError."""
    result = dict(fields)
    if "model" not in result and defaults.model:
        result["model"] = fill_in(defaults.model, "queues[].model", result, check_store_url)
    has_ids = all(name in result for name in placeholders_in(defaults.callback))
    if "status" not in result and defaults.callback and has_ids:
        result["status"] = _callback(defaults, result)
    parameters = result.get("parameters", {})
    plugin = result.get("plugin", result.get("plugin_name", defaults.plugin))
    if isinstance(parameters, dict) and plugin == defaults.plugin:
        result["parameters"] = {**defaults.parameters, **parameters}
    return result


def rejection_callback(fields: dict[str, Any], defaults: MessageDefaults) -> str | None:
    """The callback URL of a rejected message with these `usual_fields`; None if the message leaves it ambiguous or invalid."""
    status = fields.get("status")
    needed = {"status"} if status is not None else {"status", *placeholders_in(defaults.callback)}
    if isinstance(fields, AmbiguousObject) and fields.repeated & needed:
        return None
    try:
        if status is None:
            return _callback(defaults, fields) if defaults.callback else None
        status.encode()  # half of a surrogate pair can't be sent
        return check_http_url(status)
    except (FieldError, ValueError, AttributeError):
        return None


def _callback(defaults: MessageDefaults, fields: Mapping[str, Any]) -> str:
    return fill_in(defaults.callback, "queues[].callback", fields, check_http_url)
