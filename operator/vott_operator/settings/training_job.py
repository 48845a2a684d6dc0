"""Settings of the TrainingJobs that messages become: labels, trainer, podTemplate, retries and deadlines."""

import re
from typing import Any

from pydantic import Field, field_validator

from vott_messaging.settings.section import Section
from vott_operator.api import constants as c
from vott_operator.api.spec import PodTemplate, PodTemplateMetadata, ResourceRequirements, Trainer

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
LABEL_NAME = r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
LABEL_KEY = re.compile(
    rf"((?=[^/]{{1,253}}/)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?{LABEL_NAME}"
)
LABEL_VALUE = re.compile(rf"({LABEL_NAME})?")
OWN_LABELS = (c.LABEL_MANAGED_BY, c.LABEL_TRAININGJOB)


# The API ignores unknown fields; in the settings they are errors, because there they are typos.
class StrictResources(ResourceRequirements, extra="forbid"):
    """`spec.trainer.resources`."""


class StrictTrainer(Trainer, extra="forbid"):
    """`spec.trainer`."""

    resources: StrictResources | None = None


class StrictPodTemplateMetadata(PodTemplateMetadata, extra="forbid"):
    """`spec.podTemplate.metadata`."""


class StrictPodTemplate(PodTemplate, extra="forbid"):
    """`spec.podTemplate`; the API server checks the fields of its spec."""

    metadata: StrictPodTemplateMetadata | None = None


class TrainingJobSettings(Section):
    """What the TrainingJobs of messages get in addition to what the message sets."""

    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels of the TrainingJob, for example Kueue's kueue.x-k8s.io/queue-name."
    )
    trainer: StrictTrainer | None = Field(None, description="spec.trainer: GPUs, nodes, resources.")
    pod_template: StrictPodTemplate | None = Field(None, description="spec.podTemplate.")
    backoff_limit: int | None = Field(None, description="spec.backoffLimit.", ge=0, le=100)
    active_deadline_seconds: int | None = Field(None, description="spec.activeDeadlineSeconds.", ge=1, le=31_536_000)
    pending_deadline_seconds: int | None = Field(None, description="spec.pendingDeadlineSeconds.", ge=1, le=31_536_000)

    @field_validator("labels")
    @classmethod
    def _labels_are_valid(cls, labels: dict[str, str]) -> dict[str, str]:
        for key, value in labels.items():
            if not LABEL_KEY.fullmatch(key):
                raise ValueError(f"has the key {key!r}, which is not a valid label key: use name or example.com/name")
            if not LABEL_VALUE.fullmatch(value):
                raise ValueError(
                    f"has {value!r} for {key}, which is not a valid label value: use up to 63 letters, digits and - _ .,"
                    " with a letter or digit at both ends"
                )
            if key in OWN_LABELS:
                raise ValueError(f"has {key}, which the operator sets; remove it")
        return labels

    def to_spec(self) -> dict[str, Any]:
        """The fields of a TrainingJob's spec that are set here."""
        values = self.model_dump(mode="json", by_alias=True, exclude={"labels"}, exclude_unset=True, exclude_none=True)
        return {name: value for name, value in values.items() if value != {}}
