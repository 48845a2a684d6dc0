"""The TrainingJob, typed.

`TrainingJobSpec` (`spec.py`) and `TrainingJobStatus` are the one source of the CustomResourceDefinition (`crd.py`): descriptions,
defaults and limits stand there and nowhere else.
"""

from pydantic import Field

from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.spec import ApiModel, TrainingJobSpec


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
    gpu_memory_mib: int | None = Field(
        None,
        alias="gpuMemoryMiB",
        description="GPU memory in use at the last report, in MiB: on the first GPU of the first pod, by all processes on it.",
        ge=0,
    )
    gpu_utilization_percent: int | None = Field(
        None,
        description="How busy that GPU was at the last report, in percent; absent where it does not tell, as slices do not.",
        ge=0,
        le=100,
    )
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


class Checkpoint(ApiModel):
    """The newest state of the training that another pod can go on from."""

    url: str = Field(description="Where it lies, without credentials; a file: URL where it is a volume.")
    epoch: int = Field(description="Epoch that it was taken in, from 1.", ge=0)
    step: int = Field(0, description="Step within that epoch after which it was taken.", ge=0)
    time: str = Field(description="When it was taken.", json_schema_extra={"format": "date-time"})


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
    """What is true now. progress, metrics, model and checkpoint are the trainer's, everything else the operator's."""

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
    checkpoint: Checkpoint | None = Field(
        None,
        description="What another pod goes on from when this one is interrupted; absent where the training would begin anew.",
    )


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
    def was_running(self) -> bool:
        """Whether the status last showed that it runs, or that its pod was taken away."""
        running = self.condition(c.RUNNING)
        return running is not None and (running.status == "True" or running.reason in (c.INTERRUPTED, c.NODE_LOST))

    @property
    def finished(self) -> bool:
        """Whether Complete or Failed is True: a state that is never left."""
        return any(item.type in (c.COMPLETE, c.FAILED) and item.status == "True" for item in self.status.conditions)
