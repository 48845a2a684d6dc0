"""VoTT's message: what may stand on the queue, and what is said of everything else."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from . import constants as c
from .errors import MessageRejectedError
from .models import PLUGIN_PATTERN
from .urls import check_http_url

HttpUrl = Annotated[str, AfterValidator(check_http_url)]
MAX_DEPTH = 32


def _check_depth(value: dict[str, Any]) -> dict[str, Any]:
    if _depth(value) > MAX_DEPTH:
        raise ValueError(f"is nested more than {MAX_DEPTH} deep")
    return value


def _depth(value: object) -> int:
    """Levels of nesting, counted without recursion: the value comes from outside."""
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [child for item in level for child in _children(item)]
    return depth


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class TrainMessage(BaseModel):
    """What VoTT puts on the queue. Fields that are not listed are ignored, as the first VoTT-train did."""

    model_config = ConfigDict(frozen=True, strict=True)

    annotations: HttpUrl
    model: HttpUrl
    status: HttpUrl | None = None
    plugin: str | None = Field(
        None, validation_alias=AliasChoices("plugin", "plugin_name"), pattern=PLUGIN_PATTERN, max_length=63
    )
    parameters: Annotated[dict[str, Any], AfterValidator(_check_depth)] = Field(default_factory=dict)


def parse_message(body: str) -> TrainMessage:
    """Read a queue message: JSON, or JSON in base64 as Azure Functions' tools send it.

    Raises MessageRejectedError, whose text names each wrong field, for whatever can't become a TrainingJob.
    """
    fields = _json_object(body)
    try:
        return TrainMessage.model_validate(fields)
    except ValidationError as error:
        raise MessageRejectedError(c.INVALID_MESSAGE, _explain(error), _usable_status(fields)) from None


def _json_object(body: str) -> dict[str, Any]:
    # Decoding base64 first would be wrong: some JSON texts are valid base64 too once white space is dropped.
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        decoded = _base64_text(body)
        if decoded is None:
            raise MessageRejectedError(c.NOT_JSON, _not_json(error)) from None
        try:
            value = json.loads(decoded)
        except (ValueError, RecursionError) as inner:
            raise MessageRejectedError(c.NOT_JSON, _not_json(inner)) from None
    if not isinstance(value, dict):
        text = f'The message is JSON, but {_json_type(value)} and not an object. Send {{"annotations": URL, "model": URL, "status": URL}}.'
        raise MessageRejectedError(c.NOT_AN_OBJECT, text)
    return value


def _base64_text(body: str) -> str | None:
    try:
        return base64.b64decode(body.strip(), validate=True).decode("utf-8-sig") or None
    except (binascii.Error, ValueError):
        return None


def _not_json(error: Exception) -> str:
    where = (
        f": {error.msg} at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
    )
    return f'The message is not valid JSON{where}. Send {{"annotations": URL, "model": URL, "status": URL}}.'


def _json_type(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _explain(error: ValidationError) -> str:
    """One sentence for all wrong fields. The values themselves stay out: a URL may carry a credential."""
    return "; ".join(_explain_one(dict(item)) for item in error.errors(include_url=False)) + "."


def _explain_one(item: Mapping[str, Any]) -> str:
    field = ".".join(str(part) for part in item["loc"])
    if item["type"] == "missing":
        return f'Field "{field}" is missing: a message needs at least "annotations" and "model", each an http(s) URL'
    if item["type"] == "value_error":
        return f'Field "{field}" {item["ctx"]["error"]}'
    return f'Field "{field}": {item["msg"][0].lower()}{item["msg"][1:]}'


def _usable_status(fields: Mapping[str, Any]) -> str | None:
    status = fields.get("status")
    try:
        return check_http_url(status) if isinstance(status, str) else None
    except ValueError:
        return None
