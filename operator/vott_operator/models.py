"""The TrainingJob, typed.

`TrainingJobSpec` and `TrainingJobStatus` are the one source of the CustomResourceDefinition (`crd.py`): descriptions,
defaults and limits stand here and nowhere else.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from . import constants as c
from .names import Key

HTTP_URL_RULE = r"self.matches('^https?://[^\\s/?#@]+(/[^\\s?#]*)?(\\?\\S*)?$')"
HTTP_URL_MESSAGE = "must be an http(s) URL without user name and fragment, for example https://host/path"
MAX_TTL_SECONDS = 315_360_000
"""Ten years."""
PLUGIN_PATTERN = r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"


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
    gpus: int = Field(1, description="Number of GPUs, for each node. 0 trains on the CPU.", ge=0, le=64)
    gpu_resource_name: str = Field(
        "nvidia.com/gpu",
        description="Extended resource that is a GPU here; the names of MIG slices (nvidia.com/mig-1g.10gb) and shared GPUs work too.",
        min_length=1,
        max_length=253,
    )
    nodes: int = Field(
        1,
        description="Number of pods that train together, each with its own GPUs. When one of them fails, all start again.",
        ge=1,
        le=64,
    )
    resources: ResourceRequirements | None = Field(
        None, description="CPU and memory of the trainer container. Default: the operator's setting trainer.resources."
    )


class PodTemplateMetadata(ApiModel):
    """Labels and annotations of the pods."""

    labels: dict[str, str] | None = Field(None, description="Labels, beside the operator's own.")
    annotations: dict[str, str] | None = Field(None, description="Annotations, beside the operator's own.")


class PodTemplate(ApiModel):
    """A partial PodTemplateSpec."""

    metadata: PodTemplateMetadata | None = Field(None, description="Labels and annotations of the pods.")
    spec: dict[str, Any] | None = Field(
        None,
        description="A partial PodSpec, for example tolerations, nodeSelector, priorityClassName, volumes, and volumeMounts or env of"
        " the container `trainer`.",
        json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
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
    pod_template: PodTemplate | None = Field(
        None,
        description="Merged under what the operator sets of the training's pods, lists by name where Kubernetes does that."
        " Something that the operator sets to another value is refused.",
    )
    suspend: bool = Field(
        False,
        description="True stops the training's pods and starts no new ones until it is false again. May be changed.",
    )
    backoff_limit: int = Field(
        3,
        description="How often a training that failed by a fault of its own is tried again. Interruptions (eviction, drain, preemption,"
        " a lost node) do not count; failures that trying again can't help (bad annotations, refused upload) are final.",
        ge=0,
        le=100,
    )
    active_deadline_seconds: int | None = Field(
        None,
        description="The training fails when it is not complete this many seconds after its Job was started. Waiting for a node and all attempts"
        " count; when it is resumed, the time begins anew.",
        ge=1,
        le=31_536_000,
    )
    pending_deadline_seconds: int | None = Field(
        None,
        description="The training fails when it waits this many seconds for a node. Default: it waits.",
        ge=1,
        le=31_536_000,
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        description="The TrainingJob and all that it made in the cluster are deleted this many seconds after it ended, its callback was told"
        " and its message was removed from the queue. Default: it stays. May be changed.",
        ge=0,
        le=MAX_TTL_SECONDS,
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
    estimated_completion_time: str | None = Field(
        None,
        description="When the training will end, by its speed so far.",
        json_schema_extra={"format": "date-time"},
    )
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
        description="Running, Stalled, Suspended, Complete, Failed, ModelUploaded, CallbackDelivered or MessageSettled.",
        max_length=316,
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
    pod_name: str | None = Field(
        None, description="The pod that trains, or trained last; with several nodes the first of them."
    )
    restarts: int | None = Field(
        None, description="How often the training began anew in another pod, after failures and interruptions.", ge=0
    )
    failures: int | None = Field(
        None, description="With several nodes: how many failures counted against spec.backoffLimit.", ge=0
    )
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
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()


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

    def is_from(self, message_id: str) -> bool:
        """Whether the queue message of that id brought it."""
        return self.metadata.annotations.get(c.ANNOTATION_MESSAGE_ID) == message_id

    @property
    def deleting(self) -> bool:
        """Whether somebody deleted it, and a finalizer holds it."""
        return self.metadata.deletion_timestamp is not None

    @property
    def failed(self) -> bool:
        """Whether it ended without a model."""
        return any(item.type == c.FAILED and item.status == "True" for item in self.status.conditions)

    @property
    def finished(self) -> bool:
        """Whether Complete or Failed is True: a state that is never left."""
        return any(item.type in (c.COMPLETE, c.FAILED) and item.status == "True" for item in self.status.conditions)
