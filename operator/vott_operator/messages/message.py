"""The messages of VoTT and VoTT-web: their fields, and how they are parsed.

VoTT sends `{annotations, model, status}`, optionally with plugin and parameters. VoTT-web sends `{projectId, requestId, url}`;
the queue's settings add model and callback (`queue_defaults.py`).
"""

from typing import Annotated

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from vott_operator.api import constants as c
from vott_operator.api.spec import PLUGIN_PATTERN
from vott_operator.api.urls import check_http_url, check_model_url
from vott_operator.errors import MessageRejectedError
from vott_operator.messages.decoding import read_object
from vott_operator.messages.digest import content_digest
from vott_operator.messages.json_values import FieldError, check_values
from vott_operator.messages.parameters import Parameters
from vott_operator.messages.queue_defaults import NO_DEFAULTS, MessageDefaults, rejection_callback, with_defaults
from vott_operator.messages.validation_errors import explain

HttpUrl = Annotated[str, AfterValidator(check_http_url)]
ModelUrl = Annotated[str, AfterValidator(check_model_url)]


class TrainMessage(BaseModel):
    """A training message. Other fields are ignored, as in the first VoTT-train."""

    model_config = ConfigDict(frozen=True, strict=True)

    annotations: HttpUrl = Field(validation_alias=AliasChoices("annotations", "url"))
    model: ModelUrl
    status: HttpUrl | None = None
    """The callback URL."""
    plugin: str | None = Field(
        None, validation_alias=AliasChoices("plugin", "plugin_name"), pattern=PLUGIN_PATTERN, max_length=63
    )
    parameters: Parameters = Field(default_factory=dict)
    digest: str = ""
    """See `digest.py`."""


def parse_message(body: bytes, defaults: MessageDefaults = NO_DEFAULTS) -> TrainMessage:
    """Parse a queue message: UTF-8 JSON, plain or in base64.

    Raises:
        MessageRejectedError: it can't become a TrainingJob; the text names every wrong field.
    """
    fields = read_object(body)
    try:
        check_values(fields)
        return TrainMessage.model_validate(with_defaults(fields, defaults) | {"digest": content_digest(fields)})
    except ValidationError as error:
        text = "; ".join(explain(dict(item)) for item in error.errors(include_url=False))
    except FieldError as error:
        text = str(error)
    raise MessageRejectedError(c.INVALID_MESSAGE, f"{text}.", rejection_callback(fields, defaults))
