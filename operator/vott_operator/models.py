"""The two things from outside, typed: VoTT's message and the TrainingJob.

`TrainingJobSpec` and `TrainingJobStatus` are the one source of the CustomResourceDefinition (`crd.py`): descriptions,
defaults and limits stand here and nowhere else.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from . import constants as c
from .errors import MessageRejectedError
from .names import Key
from .urls import check_http_url

HttpUrl = Annotated[str, AfterValidator(check_http_url)]
HTTP_URL_RULE = r"self.matches('^https?://[^\\s/?#@]+(/[^\\s?#]*)?(\\?\\S*)?$')"
HTTP_URL_MESSAGE = "must be an http(s) URL without user name and fragment, for example https://host/path"
MAX_DEPTH = 32
PLUGIN_PATTERN = r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"


# ---------------------------------------------------------------------------------------------------- the message


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


# ------------------------------------------------------------------------------------------------- the TrainingJob


class ApiModel(BaseModel):
    """A piece of the Kubernetes API: camelCase outside, unknown fields ignored (the API server prunes them)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    def to_api(self) -> dict[str, Any]:
        """The JSON form, without what was not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


class Location(ApiModel):
    """A URL that carries no credential in the open."""

    url: str = Field(
        description="http(s) URL. Where the full URL carries a credential (a SAS or presigned query), this is the URL without its"
        " query, and the full one lies in the Secret that urlSecretRef names.",
        max_length=8192,
        json_schema_extra={"x-kubernetes-validations": [{"rule": HTTP_URL_RULE, "message": HTTP_URL_MESSAGE}]},
    )


class SecretReference(ApiModel):
    """A Secret of the same namespace."""

    name: str = Field(description="Name of the Secret.", min_length=1, max_length=253)


IntOrString = Annotated[int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True})]


class ResourceRequirements(ApiModel):
    """CPU, memory and ephemeral storage of the trainer container."""

    requests: dict[str, IntOrString] | None = Field(
        None, description="What the container is guaranteed, for example cpu: 4."
    )
    limits: dict[str, IntOrString] | None = Field(
        None, description="What the container may use at most, for example memory: 16Gi."
    )


class Trainer(ApiModel):
    """The pod that trains."""

    image: str | None = Field(
        None,
        description="Image of the trainer container. Default: the operator's setting trainer.image.",
        max_length=1024,
    )
    gpus: int = Field(1, description="Number of GPUs. 0 trains on the CPU.", ge=0, le=64)
    gpu_resource_name: str = Field(
        "nvidia.com/gpu",
        description="Extended resource that is a GPU here; the names of MIG slices (nvidia.com/mig-1g.10gb) and shared GPUs work too.",
        min_length=1,
        max_length=253,
    )
    resources: ResourceRequirements | None = Field(
        None, description="CPU and memory of the trainer container. Default: the operator's setting trainer.resources."
    )


class TrainingJobSpec(ApiModel):
    """What to train, from which annotations, and where the model goes."""

    annotations: Location = Field(description="The annotation file: which images, and what is on them.")
    model: Location = Field(description="Where the trained model goes: an Azure Storage container, or one blob.")
    callback: Location | None = Field(None, description="Where progress and the outcome are posted to. Optional.")
    url_secret_ref: SecretReference | None = Field(
        None,
        description="Secret with the full URLs, where one carries a credential: one key (annotations, model, callback) for each URL of this spec.",
    )
    plugin: str = Field("detection", description="Name of the trainer's plugin.", pattern=PLUGIN_PATTERN, max_length=63)
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="The plugin's parameters, for example epochs, batchSize, learningRate or architecture. The plugin checks them.",
        json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    )
    trainer: Trainer = Field(
        default_factory=Trainer,
        description="Image, GPUs and other resources of the pod that trains.",
        json_schema_extra={"default": {}},  # so that the API server fills in the defaults within
    )
    suspend: bool = Field(
        False,
        description="True stops the training's pods and starts no new ones until it is false again. May be changed.",
    )
    backoff_limit: int = Field(
        3,
        description="How often a failed training is tried again. Failures that trying again can't help (bad annotations, refused upload) are not.",
        ge=0,
        le=100,
    )
    active_deadline_seconds: int | None = Field(
        None,
        description="The training fails when it is not complete this many seconds after it started.",
        ge=1,
        le=31_536_000,
    )


class Progress(ApiModel):
    """How far the training is. Written by the trainer."""

    percent: int | None = Field(None, description="Progress of the whole training in percent.", ge=0, le=100)
    epoch_current: int | None = Field(None, description="Epoch that the training is in, from 1.", ge=0)
    epoch_total: int | None = Field(None, description="Number of epochs.", ge=0)
    step_current: int | None = Field(None, description="Step (minibatch) within the epoch, from 1.", ge=0)
    step_total: int | None = Field(None, description="Number of steps in an epoch.", ge=0)
    classification_loss: float | None = Field(
        None, description="Classification loss, mean over the current epoch so far."
    )
    images_per_second: float | None = Field(None, description="Images trained per second.", ge=0)
    last_updated_time: str | None = Field(
        None, description="When the trainer last reported.", json_schema_extra={"format": "date-time"}
    )


class Metric(ApiModel):
    """One figure of the evaluation on held-out images."""

    name: str = Field(description="Name of the metric, for example mAP50.", min_length=1, max_length=63)
    value: float = Field(description="Its value.")


class ModelArtifact(ApiModel):
    """The uploaded model, verified."""

    url: str = Field(description="Where it lies, without credentials.")
    sha256: str = Field(description="SHA-256 of the uploaded object, in hex.", pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(description="Its size in bytes.", ge=0)


class Condition(ApiModel):
    """One aspect of the state, as in Kubernetes' metav1.Condition."""

    type: str = Field(
        description="Running, Suspended, Complete, Failed, ModelUploaded or CallbackDelivered.", max_length=316
    )
    status: str = Field(description="True, False or Unknown.", json_schema_extra={"enum": ["True", "False", "Unknown"]})
    reason: str = Field(description="One CamelCase word for programs.", min_length=1, max_length=1024)
    message: str = Field("", description="One sentence for people: the cause and the remedy.", max_length=32768)
    last_transition_time: str = Field(
        description="When status last changed.", json_schema_extra={"format": "date-time"}
    )
    observed_generation: int | None = Field(None, description="metadata.generation that this was said of.", ge=0)


class TrainingJobStatus(ApiModel):
    """What is true now. progress, metrics and model are the trainer's, everything else the operator's."""

    phase: str | None = Field(
        None,
        description="Summary of the conditions.",
        json_schema_extra={"enum": [c.PENDING, c.RUNNING, c.SUSPENDED, c.COMPLETE, c.FAILED]},
    )
    reason: str | None = Field(
        None, description="Why the phase is what it is: the reason of the condition that decides it."
    )
    conditions: tuple[Condition, ...] = Field(
        (),
        description="The aspects of the state, one entry a type.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    observed_generation: int | None = Field(None, description="metadata.generation that this status was made from.")
    job_name: str | None = Field(None, description="Name of the batch/v1 Job that trains.")
    start_time: str | None = Field(None, description="When the Job started.", json_schema_extra={"format": "date-time"})
    completion_time: str | None = Field(
        None, description="When the training ended, well or not.", json_schema_extra={"format": "date-time"}
    )
    restarts: int | None = Field(None, description="How many of the training's pods failed and were replaced.", ge=0)
    progress: Progress | None = Field(None, description="How far the training is.")
    metrics: tuple[Metric, ...] | None = Field(
        None,
        description="Evaluation on held-out images, one entry a metric.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    model: ModelArtifact | None = Field(None, description="The uploaded model.")


class Metadata(ApiModel):
    """The part of metav1.ObjectMeta that is read here."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class TrainingJob(ApiModel):
    """A TrainingJob as the API server returns it."""

    metadata: Metadata
    spec: TrainingJobSpec
    status: TrainingJobStatus = Field(default_factory=TrainingJobStatus)

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.metadata.namespace, self.metadata.name)

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if it was ever set."""
        return next((item for item in self.status.conditions if item.type == type_), None)

    @property
    def finished(self) -> bool:
        """Whether Complete or Failed is True: a state that is never left."""
        return any(item.type in (c.COMPLETE, c.FAILED) and item.status == "True" for item in self.status.conditions)
