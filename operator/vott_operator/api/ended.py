"""The annotation vott.dev/ended: how a TrainingJob ended, where a backup keeps it."""

from typing import Literal, Self

from pydantic import AwareDatetime, ValidationError

from vott_operator.api import constants as c
from vott_operator.api.api_model import ApiModel
from vott_operator.api.trainingjob import TrainingJob


class Ended(ApiModel):
    """The end of a TrainingJob. Its name and uid tell a copy and a restored one from the TrainingJob that ended."""

    name: str
    uid: str
    phase: Literal["Complete", "Failed"]
    reason: str
    time: AwareDatetime
    message_settled: bool = False
    """Whether its message was removed from the queue."""

    @classmethod
    def of(cls, trainingjob: TrainingJob) -> Self | None:
        """The end in its annotation; None if there is none, or that of a TrainingJob of another name."""
        text = trainingjob.metadata.annotations.get(c.ANNOTATION_ENDED)
        try:
            ended = cls.model_validate_json(text) if text else None
        except ValidationError:
            return None
        return ended if ended is not None and ended.name == trainingjob.metadata.name else None

    def to_annotation(self) -> str:
        """Its text in the annotation."""
        return self.model_dump_json(by_alias=True)
