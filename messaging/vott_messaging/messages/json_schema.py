"""JSON Schemas (draft 2020-12) of the message and of a callback's body, generated from their models for senders and receivers.

They describe the documented forms. A message may differ from its schema and still be read (`decoding.py`, `fields.py`).
"""

import json
from typing import Any

from pydantic import AliasChoices, ConfigDict, TypeAdapter, with_config

from vott_guard.callback_payload import CallbackBody
from vott_messaging.messages.message import TrainMessage
from vott_messaging.messages.url_template import MAX_ID_LENGTH, PLACEHOLDERS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMES = ("message", "callback")


def to_json(name: str) -> str:
    """One of NAMES as text, as in docs/ and in the chart."""
    schema = message_schema() if name == "message" else callback_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def message_schema() -> dict[str, Any]:
    """The message, in VoTT's and in VoTT-web's form."""
    schema = TrainMessage.model_json_schema()
    properties = schema["properties"]
    del properties["digest"], properties["traceparent"]["default"]
    for name, alias in _aliases().items():
        properties[alias] = properties[name] | {"description": f"Another name of {name}."}
    for name in PLACEHOLDERS:
        properties[name] = {
            "type": ["string", "integer"],
            "minLength": 1,
            "maxLength": MAX_ID_LENGTH,
            "description": "Id of VoTT-web, for the URLs in the queue's settings.",
        }
    # The model may come from the queue's settings.
    schema["anyOf"] = [{"required": [name]} for name in ("annotations", _aliases()["annotations"])]
    del schema["required"]
    return _tidy(schema, "Message")


def callback_schema() -> dict[str, Any]:
    """The body of a callback's POST."""
    documented = with_config(ConfigDict(use_attribute_docstrings=True))(CallbackBody)
    schema = TypeAdapter(documented).json_schema()
    for item in schema["properties"].values():
        item.pop("default", None)
        if item.get("type") == "integer":
            item["minimum"] = 0
    schema["properties"]["progress"] |= {"minimum": 0, "maximum": 1}
    schema["required"] = list(schema["properties"])
    return _tidy(schema, "Callback")


def _aliases() -> dict[str, str]:
    """The other name of each field that has one."""
    fields = TrainMessage.model_fields.items()
    return {
        name: str(field.validation_alias.choices[1])
        for name, field in fields
        if isinstance(field.validation_alias, AliasChoices)
    }


def _tidy(schema: dict[str, Any], title: str) -> dict[str, Any]:
    for item in schema["properties"].values():
        item.pop("title", None)
        if item.get("default", ...) is None:
            del item["default"]
    return {"$schema": DIALECT, "title": title, **{key: value for key, value in schema.items() if key != "title"}}
