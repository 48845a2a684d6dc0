"""VoTT's message: what may stand on the queue, and what is said of everything else.

Two forms are understood: `{annotations, model, status}` with an optional plugin and parameters, and VoTT-web's
`{projectId, requestId, url}`, for which the queue's settings say where the model and the callbacks go.
"""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from vott_operator.api import constants as c
from vott_operator.api.spec import PLUGIN_PATTERN
from vott_operator.api.urls import check_http_url, check_model_url
from vott_operator.errors import MessageRejectedError
from vott_operator.messages.json_text import AmbiguousObject, FieldError, check_values, read_object, type_name
from vott_operator.messages.parameters import Parameters

MAX_ID = 128
ID_FIELDS = ("projectId", "requestId")
MEANINGFUL = (*ID_FIELDS, "annotations", "url", "model", "status", "plugin", "plugin_name", "parameters")

HttpUrl = Annotated[str, AfterValidator(check_http_url)]
ModelUrl = Annotated[str, AfterValidator(check_model_url)]


@dataclass(frozen=True, slots=True)
class MessageDefaults:
    """What a queue's messages get that do not say it themselves."""

    model: str = ""
    """URL in which {projectId} and {requestId} stand for the message's own; empty: every message has to name its own."""
    callback: str = ""
    """Likewise. A message without the ids that it needs gets no callback."""
    plugin: str = ""
    """Of a message that names none."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Of that plugin: a message that names another one does not get them."""


NO_DEFAULTS = MessageDefaults()


class TrainMessage(BaseModel):
    """What VoTT puts on the queue. Fields that are not listed are ignored, as the first VoTT-train did."""

    model_config = ConfigDict(frozen=True, strict=True)

    annotations: HttpUrl = Field(validation_alias=AliasChoices("annotations", "url"))
    model: ModelUrl
    status: HttpUrl | None = None
    plugin: str | None = Field(
        None, validation_alias=AliasChoices("plugin", "plugin_name"), pattern=PLUGIN_PATTERN, max_length=63
    )
    parameters: Parameters = Field(default_factory=dict)
    digest: str = ""
    """SHA-256, in hex, of what the message itself says: equal for all ways to write it, and whatever the queue's settings add."""


def parse_message(body: bytes, defaults: MessageDefaults = NO_DEFAULTS) -> TrainMessage:
    """Read a queue message: UTF-8 JSON, or that in base64 as Azure Functions' tools send it.

    Raises MessageRejectedError, whose text names each wrong field, for whatever can't become a TrainingJob.
    """
    fields = read_object(body)
    try:
        check_values(fields)
        return TrainMessage.model_validate(_completed(fields, defaults) | {"digest": _digest(fields)})
    except ValidationError as error:
        text = "; ".join(_explain(dict(item)) for item in error.errors(include_url=False))
    except FieldError as error:
        text = str(error)
    raise MessageRejectedError(c.INVALID_MESSAGE, f"{text}.", _usable_callback(fields, defaults))


def _digest(fields: Mapping[str, Any]) -> str:
    said = {name: fields[name] for name in MEANINGFUL if fields.get(name) is not None}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# --------------------------------------------------------------------------------- what the message leaves to the queue


def _completed(fields: Mapping[str, Any], defaults: MessageDefaults) -> dict[str, Any]:
    """The fields that say something, and the queue's settings for those that are left out."""
    named = {name: value for name, value in fields.items() if value is not None}
    if "model" not in named and defaults.model:
        named["model"] = _filled_in(defaults.model, "queues[].model", named, check_model_url)
    if "status" not in named and defaults.callback and all(name in named for name in _ids_in(defaults.callback)):
        named["status"] = _filled_in(defaults.callback, "queues[].callback", named)
    parameters = named.get("parameters", {})
    plugin = named.get("plugin", named.get("plugin_name", defaults.plugin))
    if isinstance(parameters, dict) and plugin == defaults.plugin:
        named["parameters"] = {**defaults.parameters, **parameters}
    return named


def _ids_in(template: str) -> list[str]:
    return [name for name in ID_FIELDS if f"{{{name}}}" in template]


def _filled_in(
    template: str, setting: str, fields: Mapping[str, Any], check: Callable[[str], str] = check_http_url
) -> str:
    url = template
    for name in _ids_in(template):
        if fields.get(name) is None:
            raise FieldError(
                f'Field "{name}" is missing: send it, or "model" itself, without which the setting {setting} needs it'
            )
        url = url.replace(f"{{{name}}}", quote(_id(name, fields[name]), safe=""))
    try:
        return check(url)
    except ValueError as error:
        raise FieldError(f"The setting {setting}, filled in with this message's ids, {error}") from None


def _id(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise FieldError(f'Field "{name}" is {type_name(value)}; send a string or an integer')
    text = str(value)
    if not 1 <= len(text) <= MAX_ID or text in (".", "..") or any(unicodedata.category(char) == "Cc" for char in text):
        rule = f'1 to {MAX_ID} characters, none of them a control character, and not "." or ".."'
        raise FieldError(f'Field "{name}" is no usable id: send {rule}')
    return text


def _usable_callback(fields: dict[str, Any], defaults: MessageDefaults) -> str | None:
    """Where a rejection can be told; None rather than a guess."""
    status = fields.get("status")
    needed = {"status"} if status is not None else {"status", *_ids_in(defaults.callback)}
    if isinstance(fields, AmbiguousObject) and fields.repeated & needed:
        return None
    try:
        if status is None:
            return _filled_in(defaults.callback, "queues[].callback", fields) if defaults.callback else None
        status.encode()  # half of a surrogate pair can't be sent anywhere
        return check_http_url(status)
    except (FieldError, ValueError, AttributeError):
        return None


# ------------------------------------------------------------------------------------------------- pydantic's complaints


def _explain(item: Mapping[str, Any]) -> str:
    """One wrong field in words. The value itself stays out: a URL may carry a credential."""
    name = str(item["loc"][0])
    return f'Field "{name}" {_complaint(name, item)}'


def _complaint(name: str, item: Mapping[str, Any]) -> str:
    kind = item["type"]
    if kind == "missing" and name == "model":
        return "is missing: send the URL where the model goes, or have the administrator set queues[].model for messages without"
    if kind == "missing":
        return 'is missing: send the URL of the annotation file as "annotations" (or as "url", as VoTT-web does)'
    if kind == "value_error":
        return str(item["ctx"]["error"])
    if kind in ("string_type", "dict_type"):
        wanted = {
            "parameters": 'an object such as {"epochs": 10}',
            "plugin": "a name",
            "plugin_name": "a name",
            "model": "an http(s) or s3 URL",
        }
        return f"is {type_name(item['input'])}; send {wanted.get(name, 'an http(s) URL')}"
    return "is no plugin's name: send up to 63 letters, digits, dots, underscores and hyphens, a letter or digit first and last"
