"""The status of a TrainingJob, typed: the source of `status` in the CustomResourceDefinition (`crd.py`)."""

from pydantic import Field

from vott_operator.api import constants as c
from vott_operator.api.api_model import ApiModel


class Progress(ApiModel):
    """Progress of the training, written by the trainer."""

    percent: int | None = Field(None, description="Progress of the whole training in percent.", ge=0, le=100)
    epoch_current: int | None = Field(None, description="Current epoch, from 1.", ge=0)
    epoch_total: int | None = Field(None, description="Number of epochs.", ge=0)
    step_current: int | None = Field(None, description="Current step (minibatch) of the epoch, from 1.", ge=0)
    step_total: int | None = Field(None, description="Number of steps in an epoch.", ge=0)
    fold_current: int | None = Field(None, description="Current fold of a cross-validation, from 1.", ge=0)
    fold_total: int | None = Field(
        None, description="Number of folds, each of which is trained; absent without cross-validation.", ge=0
    )
    classification_loss: float | None = Field(
        None, description="Classification loss: the mean over the current epoch so far."
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
        description="Utilization of that GPU at the last report, in percent; absent if it is not available, as on MIG slices.",
        ge=0,
        le=100,
    )
    estimated_completion_time: str | None = Field(
        None,
        description="Estimated end of the training, from its speed so far.",
        json_schema_extra={"format": "date-time"},
    )
    last_updated_time: str | None = Field(
        None, description="Time of the trainer's last report.", json_schema_extra={"format": "date-time"}
    )


class Metric(ApiModel):
    """One metric of the evaluation on held-out images."""

    name: str = Field(description="Name of the metric, for example mAP50.", min_length=1, max_length=63)
    value: float = Field(description="Value of the metric.")


class ModelArtifact(ApiModel):
    """The uploaded model, verified."""

    url: str = Field(description="URL of the model, without credentials.")
    sha256: str = Field(description="SHA-256 of the uploaded object, in hex.", pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(description="Size of the uploaded object in bytes.", ge=0)


class Checkpoint(ApiModel):
    """The newest checkpoint, from which another pod resumes the training."""

    url: str = Field(description="URL of the checkpoint, without credentials; a file: URL on a volume.")
    epoch: int = Field(description="Epoch of the checkpoint, from 1.", ge=0)
    step: int = Field(0, description="Last step in the checkpoint, within the epoch.", ge=0)
    time: str = Field(description="Time of the checkpoint.", json_schema_extra={"format": "date-time"})


MAX_ATTEMPTS = 20
"""Entries of status.attempts, enough for every limit that is counted in them."""


class Attempt(ApiModel):
    """A pod that ended before the training did."""

    pod_name: str = Field(description="Name of the pod.")
    node_name: str | None = Field(None, description="Node of the pod.")
    outcome: str = Field(
        description="Failed counts against spec.backoffLimit. Rejected (its node did not accept it), Evicted (its node lacked a resource)"
        " and Interrupted (drain, preemption, lost node) do not.",
        json_schema_extra={"enum": [c.ATTEMPT_FAILED, c.ATTEMPT_REJECTED, c.ATTEMPT_EVICTED, c.ATTEMPT_INTERRUPTED]},
    )
    reason: str = Field(description="One CamelCase word for programs, for example OOMKilled or PreemptionByScheduler.")
    created: str = Field(description="Creation time of the pod.", json_schema_extra={"format": "date-time"})
    fold: int = Field(0, description="Fold that the training had reached, with cross-validation.", ge=0)
    epoch: int = Field(0, description="Epoch that the training had reached.", ge=0)
    step: int = Field(0, description="Step of that epoch.", ge=0)

    @property
    def position(self) -> tuple[int, int, int]:
        """How far the training had got."""
        return self.fold, self.epoch, self.step


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
        description="Time of the last change of status.", json_schema_extra={"format": "date-time"}
    )
    observed_generation: int | None = Field(
        None, description="metadata.generation that the condition is based on.", ge=0
    )


class TrainingJobStatus(ApiModel):
    """The observed state. The trainer writes progress, metrics, model and checkpoint; the operator writes the rest."""

    phase: str | None = Field(
        None,
        description="Summary of the conditions.",
        json_schema_extra={"enum": [c.PENDING, c.RUNNING, c.SUSPENDED, c.COMPLETE, c.FAILED]},
    )
    reason: str | None = Field(None, description="Reason of the condition that decides the phase.")
    conditions: tuple[Condition, ...] = Field(
        (),
        description="The aspects of the state, one entry for each type.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    observed_generation: int | None = Field(None, description="metadata.generation that the status is based on.")
    job_name: str | None = Field(None, description="Name of the batch/v1 Job that trains.")
    start_time: str | None = Field(
        None, description="Time at which the Job started.", json_schema_extra={"format": "date-time"}
    )
    completion_time: str | None = Field(
        None,
        description="Time at which the training ended, successfully or not.",
        json_schema_extra={"format": "date-time"},
    )
    pod_name: str | None = Field(
        None, description="The pod that trains, or trained last; with several nodes, the pod of the first node."
    )
    restarts: int | None = Field(
        None, description="How often another pod took over, after failures and interruptions.", ge=0
    )
    failures: int | None = Field(
        None,
        description="The failures counted against spec.backoffLimit in earlier Jobs; a Job is replaced with several nodes after each"
        " failure, with one node when the next pod should go to another node.",
        ge=0,
    )
    attempts: tuple[Attempt, ...] | None = Field(
        None,
        description="The newest pods that ended before the training did, oldest first. Stopped pods (suspended or deleted) are not listed.",
        json_schema_extra={"maxItems": MAX_ATTEMPTS, "x-kubernetes-list-type": "atomic"},
    )
    report_interval_seconds: int | None = Field(
        None,
        description="Seconds between two of the trainer's reports, at least: longer while many trainings run; absent: 2.",
        ge=1,
    )
    progress: Progress | None = Field(None, description="Progress of the training.")
    metrics: tuple[Metric, ...] | None = Field(
        None,
        description="Evaluation on held-out images, one entry for each metric.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    model: ModelArtifact | None = Field(None, description="The uploaded model.")
    checkpoint: Checkpoint | None = Field(
        None,
        description="The newest checkpoint, from which another pod resumes after an interruption; absent if the training would start over.",
    )
