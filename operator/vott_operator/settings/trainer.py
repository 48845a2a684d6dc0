"""What the administrator sets of the trainings: of every pod, and of the TrainingJobs that messages become."""

import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from vott_operator.api import constants as c
from vott_operator.api.spec import PodTemplate, PodTemplateMetadata, ResourceRequirements, Trainer
from vott_operator.settings.section import Section
from vott_operator.settings.storage import (
    Checkpoints,
    ImageCache,
    ModelStore,
    PluginFolder,
    WorkloadIdentity,
)

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
LABEL_NAME = r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
LABEL_KEY = re.compile(
    rf"((?=[^/]{{1,253}}/)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?{LABEL_NAME}"
)
LABEL_VALUE = re.compile(rf"({LABEL_NAME})?")
OWN_LABELS = (c.LABEL_MANAGED_BY, c.LABEL_TRAININGJOB)


# The API ignores what it does not know; in the settings that is a typo, so these are the same without it.
class StrictResources(ResourceRequirements, extra="forbid"):
    """`spec.trainer.resources`."""


class TrainerSettings(Section):
    """What every trainer pod gets."""

    image: str = Field("", description="Image of the trainer container, unless the TrainingJob names one.")
    image_pull_policy: str = Field("IfNotPresent", description="Kubernetes' imagePullPolicy of the trainer container.")
    service_account_name: str = Field(
        "vott-trainer", description="ServiceAccount of the trainer pods; it may write its own TrainingJob's status."
    )
    resources: StrictResources = Field(
        default_factory=lambda: StrictResources(requests={"cpu": "1", "memory": "2Gi"}, limits={"memory": "16Gi"}),
        description="CPU and memory of the trainer container, unless the TrainingJob says otherwise.",
    )
    shared_memory: str = Field("2Gi", description="Size of /dev/shm, which data loader workers use. Counts as memory.")
    work_volume: str = Field("50Gi", description="Size limit of /work: images, checkpoints and the model archive.")
    termination_grace_period_seconds: int = Field(60, description="Time from SIGTERM to SIGKILL.", ge=0)
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels that a node must have.")
    tolerations: list[dict[str, Any]] = Field(
        default_factory=list,
        description="Tolerations beyond the ones for GPU nodes, which every training has.",
    )
    tolerate_spot: bool = Field(True, description="Let trainings run on AKS' spot nodes, by tolerating their taint.")
    stalled_after_seconds: int = Field(
        900, description="A training that runs and reports no progress for so long shows as Stalled; 0: never.", ge=0
    )
    model_store: ModelStore = Field(
        default_factory=ModelStore, description="Own account for models whose URL carries no credential."
    )
    workload_identity: WorkloadIdentity = Field(
        default_factory=WorkloadIdentity, description="The trainer pods' identity in Azure."
    )
    checkpoints: Checkpoints = Field(default_factory=Checkpoints, description="What trainings go on from.")
    image_cache: ImageCache = Field(default_factory=ImageCache, description="Images that were downloaded before.")
    plugins: PluginFolder = Field(default_factory=PluginFolder, description="Plugins beside the image's own.")

    @model_validator(mode="after")
    def _stores_can_be_opened(self) -> Self:
        store, identity = self.model_store, self.workload_identity.client_id
        if not store.secret_name and (named := store.named_containers):
            raise ValueError(
                f".modelStore.containers has {named[0]!r}, for which trainer.modelStore.secretName is needed"
            )
        if len(store.named_containers) < len(store.containers) and not identity:
            raise ValueError(".modelStore.containers has URLs, for which trainer.workloadIdentity.clientId is needed")
        if self.checkpoints.url.startswith("http") and not (store.secret_name or identity):
            raise ValueError(
                ".checkpoints.url needs trainer.modelStore.secretName or trainer.workloadIdentity.clientId to open it"
            )
        return self


class StrictTrainer(Trainer, extra="forbid"):
    """`spec.trainer`."""

    resources: StrictResources | None = None


class StrictPodTemplateMetadata(PodTemplateMetadata, extra="forbid"):
    """`spec.podTemplate.metadata`."""


class StrictPodTemplate(PodTemplate, extra="forbid"):
    """`spec.podTemplate`; the API server checks what is within its spec."""

    metadata: StrictPodTemplateMetadata | None = None


class TrainingJobSettings(Section):
    """What the TrainingJobs of messages get, beside what the message says."""

    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels of the TrainingJob, for example Kueue's kueue.x-k8s.io/queue-name."
    )
    trainer: StrictTrainer | None = Field(None, description="Its spec.trainer: GPUs, nodes, resources.")
    pod_template: StrictPodTemplate | None = Field(None, description="Its spec.podTemplate.")
    backoff_limit: int | None = Field(None, description="Its spec.backoffLimit.", ge=0, le=100)
    active_deadline_seconds: int | None = Field(
        None, description="Its spec.activeDeadlineSeconds.", ge=1, le=31_536_000
    )
    pending_deadline_seconds: int | None = Field(
        None, description="Its spec.pendingDeadlineSeconds.", ge=1, le=31_536_000
    )

    @field_validator("labels")
    @classmethod
    def _labels_are_such(cls, labels: dict[str, str]) -> dict[str, str]:
        for key, value in labels.items():
            if not LABEL_KEY.fullmatch(key):
                raise ValueError(f"has the key {key!r}, which can't be a label's: write name or example.com/name")
            if not LABEL_VALUE.fullmatch(value):
                raise ValueError(
                    f"has {value!r} for {key}, which can't be a label's value: use up to 63 letters, digits and - _ .,"
                    " with a letter or digit at both ends"
                )
            if key in OWN_LABELS:
                raise ValueError(f"has {key}, which is the operator's own; leave it out")
        return labels

    def to_spec(self) -> dict[str, Any]:
        """What of it goes into a TrainingJob's spec."""
        values = self.model_dump(mode="json", by_alias=True, exclude={"labels"}, exclude_unset=True, exclude_none=True)
        return {name: value for name, value in values.items() if value != {}}
