"""Settings of every trainer pod: image, resources, nodes, volumes and storage."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from vott_messaging.settings.section import Section
from vott_operator.api.status import MAX_ATTEMPTS
from vott_operator.settings.plugins import PluginFolder
from vott_operator.settings.storage import (
    Checkpoints,
    DataStore,
    ImageCache,
    ModelStore,
    WorkloadIdentitySettings,
    size_in_bytes,
)
from vott_operator.settings.training_job import StrictResources


class TrainerSettings(Section):
    """What every trainer pod gets."""

    image: str = Field("", description="Image of the trainer container, unless the TrainingJob names one.")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="imagePullPolicy of the trainer container."
    )
    service_account_name: str = Field(
        "vott-trainer",
        description="ServiceAccount of the trainer pods; it may update the status of its own TrainingJob.",
    )
    resources: StrictResources = Field(
        default_factory=lambda: StrictResources(requests={"cpu": "1", "memory": "2Gi"}, limits={"memory": "16Gi"}),
        description="CPU and memory of the trainer container, unless the TrainingJob sets them.",
    )
    shared_memory: str = Field("2Gi", description="Size of /dev/shm, which data loader workers use. Counts as memory.")
    work_volume: str = Field(
        "50Gi", description="Size limit of /work: images, decoded images, checkpoints and the model archive."
    )
    work_request: str = Field(
        "10Gi",
        description="Disk that a training requests, unless its resources name ephemeral-storage: nodes with less free take no training."
        " Empty: none.",
    )
    termination_grace_period_seconds: int = Field(60, description="Time from SIGTERM to SIGKILL.", ge=0)
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels that a node must have.")
    tolerations: list[dict[str, Any]] = Field(
        default_factory=list,
        description="Tolerations in addition to those for GPU nodes, which every training has.",
    )
    tolerate_spot: bool = Field(True, description="Let trainings run on AKS spot nodes, by tolerating their taint.")
    stalled_after_seconds: int = Field(
        900, description="A running training without a progress report for this time shows as Stalled; 0: never.", ge=0
    )
    restart_stalled_after_seconds: int = Field(
        21_600,
        description="A running training that has reported an epoch, and then nothing for this time, is restarted, which counts as a failure;"
        " 0: never.",
        ge=0,
    )
    start_deadline_seconds: int = Field(
        86_400,
        description="A training fails if something other than a lack of capacity, such as a missing ConfigMap, keeps its pod from running"
        " for this time; 0: never.",
        ge=0,
    )
    interruption_limit: int = Field(
        10,
        description="A training fails after this many interruptions in a row without progress in between; 0: never.",
        ge=0,
        le=MAX_ATTEMPTS,
    )
    budget_minutes: float = Field(
        0, description="Minutes of training, for messages without the parameter budgetMinutes; 0: the trainer's.", ge=0
    )
    model_store: ModelStore = Field(
        default_factory=ModelStore, description="Storage for models with a URL that carries no credential."
    )
    data_store: DataStore = Field(
        default_factory=DataStore,
        description="Storage for annotations and images with a URL that carries no credential.",
    )
    workload_identity: WorkloadIdentitySettings = Field(
        default_factory=WorkloadIdentitySettings, description="The trainer pods' identity in Azure."
    )
    checkpoints: Checkpoints = Field(default_factory=Checkpoints, description="Where trainings save checkpoints.")
    image_cache: ImageCache = Field(default_factory=ImageCache, description="A cache of downloaded images.")
    plugins: PluginFolder = Field(default_factory=PluginFolder, description="Plugins outside the image.")

    @field_validator("shared_memory", "work_volume")
    @classmethod
    def _volume_is_a_quantity(cls, size: str) -> str:
        size_in_bytes(size)
        return size

    @field_validator("work_request")
    @classmethod
    def _work_request_is_a_quantity(cls, size: str) -> str:
        if size:
            size_in_bytes(size)
        return size

    @model_validator(mode="after")
    def _stores_have_credentials(self) -> Self:
        store, identity = self.model_store, self.workload_identity.client_id
        for name, lists in (("modelStore", store), ("dataStore", self.data_store)):
            if not store.secret_name and (named := lists.named_containers):
                raise ValueError(f".{name}.containers has {named[0]!r}, which needs trainer.modelStore.secretName")
            if len(lists.named_containers) < len(lists.containers) and not identity:
                raise ValueError(f".{name}.containers has URLs, which need trainer.workloadIdentity.clientId")
        if self.checkpoints.url.startswith("http") and not (store.secret_name or identity):
            raise ValueError(
                ".checkpoints.url needs trainer.modelStore.secretName or trainer.workloadIdentity.clientId to open it"
            )
        return self

    @property
    def readable_containers(self) -> list[str]:
        """The containers that annotations and images may be in."""
        return [*self.model_store.containers, *self.data_store.containers]

    @property
    def work_bytes(self) -> int:
        """The size limit of /work in bytes."""
        return size_in_bytes(self.work_volume)
