"""The TrainingJob as the API server returns it. Its spec and status are in `spec.py` and `status.py`."""

from pydantic import Field

from vott_messaging.trace_context import traceparent
from vott_operator.api import constants as c
from vott_operator.api.api_model import ApiModel
from vott_operator.api.names import Key
from vott_operator.api.spec import TrainingJobSpec
from vott_operator.api.status import Condition, TrainingJobStatus


class Metadata(ApiModel):
    """The fields of metav1.ObjectMeta that the operator reads."""

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
        """The condition of this type; None if it was never set."""
        return next((condition for condition in self.status.conditions if condition.type == type_), None)

    def is_from(self, message_id: str, sequence: str = "") -> bool:
        """Whether it was created from the queue message with this id; with `sequence`, from that one of the messages with this id."""
        annotations = self.metadata.annotations
        recorded = annotations.get(c.ANNOTATION_MESSAGE_SEQUENCE)
        is_same = not sequence or recorded in (None, sequence)
        return annotations.get(c.ANNOTATION_MESSAGE_ID) == message_id and is_same

    @property
    def traceparent(self) -> str:
        """The trace context that its spans belong to; empty if there is none."""
        return traceparent(self.metadata.annotations.get(c.ANNOTATION_TRACEPARENT))

    @property
    def deleting(self) -> bool:
        """Whether it was deleted, and a finalizer holds it."""
        return self.metadata.deletion_timestamp is not None

    @property
    def was_running(self) -> bool:
        """Whether the status last showed that it runs, or that its pod was taken away."""
        running = self.condition(c.RUNNING)
        return running is not None and (running.status == "True" or running.reason in (c.INTERRUPTED, c.NODE_LOST))

    @property
    def failed(self) -> bool:
        """Whether it ended without a model."""
        return self._is_true(c.FAILED)

    @property
    def finished(self) -> bool:
        """Whether Complete or Failed is True: it never runs again."""
        return self._is_true(c.COMPLETE, c.FAILED)

    @property
    def waits_for_quota(self) -> bool:
        """Whether it is suspended, or a quota holds it: it takes no node from the others."""
        return not self.finished and self.status.reason in (c.JOB_SUSPENDED, c.WAITING_FOR_QUOTA, c.QUOTA_EXCEEDED)

    def _is_true(self, *types: str) -> bool:
        return any(condition.type in types and condition.status == "True" for condition in self.status.conditions)
