"""The messages of VoTT and VoTT-web: their fields, and how they are parsed.

VoTT sends `{annotations, model, status}`, optionally with plugin and parameters. VoTT-web sends `{projectId, requestId, url}`;
the queue's settings add model and callback (`queue_defaults.py`).
"""

from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from vott_messaging import reasons, trace_context
from vott_messaging.errors import MessageRejectedError
from vott_messaging.messages.decoding import EXAMPLE, ONE_TRAINING, read_json
from vott_messaging.messages.digest import content_digest
from vott_messaging.messages.envelope import message_within
from vott_messaging.messages.fields import check_spellings, usual_fields
from vott_messaging.messages.json_values import FieldError, check_values, type_name
from vott_messaging.messages.parameters import MAX_PARAMETERS_BYTES, MAX_PARAMETERS_VALUES, Parameters
from vott_messaging.messages.queue_defaults import NO_DEFAULTS, MessageDefaults, rejection_callback, with_defaults
from vott_messaging.messages.validation_errors import explain
from vott_messaging.urls import MAX_LENGTH, check_http_url, check_store_url

PLUGIN_PATTERN = r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"
_URL = {"type": "string", "format": "uri", "maxLength": MAX_LENGTH}
HttpUrl = Annotated[str, AfterValidator(check_http_url), WithJsonSchema({**_URL, "pattern": "^https?://"})]
StoreUrl = Annotated[str, AfterValidator(check_store_url), WithJsonSchema({**_URL, "pattern": "^(https?|s3)://"})]


class TrainMessage(BaseModel):
    """A message that starts a training. Other fields are ignored, as in the first VoTT-train."""

    model_config = ConfigDict(frozen=True, strict=True)

    annotations: StoreUrl = Field(
        validation_alias=AliasChoices("annotations", "url"),
        description="URL of the annotation file, with a SAS or presigned query if it is private, unless the administrator has listed its"
        " container or bucket.",
    )
    model: StoreUrl = Field(
        description="Where the model goes: an Azure container or blob with a SAS, a presigned URL, or a container or S3 bucket that the"
        " administrator has listed. Optional if the queue's settings name a destination."
    )
    status: HttpUrl | None = Field(None, description="Callback URL for progress and outcome.")
    plugin: str | None = Field(
        None,
        validation_alias=AliasChoices("plugin", "plugin_name"),
        pattern=PLUGIN_PATTERN,
        max_length=63,
        description="Name of the plugin that trains; by default that of the queue's settings.",
    )
    parameters: Parameters = Field(
        default_factory=dict,
        description=f"Parameters of the plugin: up to {MAX_PARAMETERS_VALUES:,} values, with those in lists and objects, and"
        f" {MAX_PARAMETERS_BYTES:,} bytes as JSON.",
    )
    traceparent: str = Field(
        "",
        description="W3C trace context of the sender, for queues whose messages have no properties. Ignored if it is malformed.",
        json_schema_extra={"pattern": trace_context.PATTERN},
    )
    digest: str = ""
    """See `digest.py`."""


def parse_message(body: bytes, defaults: MessageDefaults = NO_DEFAULTS) -> TrainMessage:
    """Parse a queue message: a JSON object, also as client libraries wrap it (`decoding.py`) and name its fields (`fields.py`).

    Raises:
        MessageRejectedError: it can't become a training; the text names every wrong field.
    """
    value = read_json(body)
    if not isinstance(value, dict):
        raise _not_an_object(value, defaults)
    fields = usual_fields(value)
    try:
        check_values(value)
        check_spellings(value)
        check_values(fields)  # parameters may have been JSON in a text
        # Not among the fields, which are the content: the same training may be asked for in another trace.
        derived = {"digest": content_digest(fields), "traceparent": trace_context.traceparent(value.get("traceparent"))}
        return TrainMessage.model_validate(with_defaults(fields, defaults) | derived)
    except ValidationError as error:
        text = "; ".join(explain(dict(item)) for item in error.errors(include_url=False))
    except FieldError as error:
        text = str(error)
    if wrapped := message_within(value):
        name, fields = wrapped
        text = f'The message is in the field "{name}" of another object: send it alone, as plain JSON'
    raise MessageRejectedError(reasons.INVALID_MESSAGE, f"{text}.", rejection_callback(fields, defaults))


def _not_an_object(value: Any, defaults: MessageDefaults) -> MessageRejectedError:
    hint = f" {ONE_TRAINING}" if isinstance(value, list) else ""
    text = f"The message is JSON, but {type_name(value)} and not an object.{hint} {EXAMPLE}."
    return MessageRejectedError(reasons.NOT_AN_OBJECT, text, _common_callback(value, defaults))


def _common_callback(value: Any, defaults: MessageDefaults) -> str | None:
    """The callback URL of a list of messages; None if they name several."""
    messages = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    callbacks = {rejection_callback(usual_fields(message), defaults) for message in messages}
    return callbacks.pop() if len(callbacks) == 1 else None
