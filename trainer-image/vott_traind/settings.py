"""The daemon's settings: those of the operator that make sense on one machine, under the same names."""

import os
from collections.abc import Sequence
from typing import Any

from pydantic import Field, field_validator

from vott_guard.rules import Rules
from vott_messaging.errors import SettingsError
from vott_messaging.settings.legacy_environment import legacy_plugins, legacy_queue
from vott_messaging.settings.program import CONFIG_ENV, ProgramSettings, check_distinct, load
from vott_messaging.settings.queue import QueueSettings
from vott_messaging.settings.section import Section

QUEUE_VARIABLES = (
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_SERVICE_BUS_NAMESPACE",
    "AZURE_SERVICE_BUS_CONNECTION_STRING",
)
"""Of these, one is set if the environment names a queue."""
NO_QUEUE = (
    "no queue is set: set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_KEY, or AZURE_SERVICE_BUS_NAMESPACE,"
    " AZURE_SERVICE_BUS_ACCESS_KEY_NAME and AZURE_SERVICE_BUS_ACCESS_KEY_VALUE, or list `queues` in the file that"
    f" {CONFIG_ENV} names (docker run -e AZURE_STORAGE_ACCOUNT_NAME -e AZURE_STORAGE_KEY IMAGE traind.py)"
)


class TrainerSettings(Section):
    """What every trainer gets."""

    budget_minutes: float = Field(
        0, description="Minutes of training, for messages without the parameter budgetMinutes; 0: the trainer's.", ge=0
    )
    termination_grace_period_seconds: int = Field(60, description="Time from SIGTERM to SIGKILL.", ge=0)
    restart_stalled_after_seconds: int = Field(
        21_600,
        description="A trainer that has reported an epoch, and then nothing for this time, is restarted, which counts as a failure; 0: never.",
        ge=0,
    )


class TrainingJobSettings(Section):
    """How every training is treated."""

    backoff_limit: int = Field(
        3,
        description="How often a failed training is retried. Interruptions do not count; failures that a retry can't fix are final.",
        ge=0,
        le=100,
    )


class Settings(ProgramSettings):
    """All settings of the daemon."""

    queues: list[QueueSettings] = Field(default_factory=list, description="Queues that messages come from.")
    trainer: TrainerSettings = Field(default_factory=TrainerSettings, description="What every trainer gets.")
    training_job: TrainingJobSettings = Field(
        default_factory=TrainingJobSettings, description="How every training is treated."
    )

    @field_validator("queues")
    @classmethod
    def _queues_are_distinct(cls, queues: list[QueueSettings]) -> Sequence[QueueSettings]:
        return check_distinct(queues)

    @property
    def rules(self) -> Rules:
        """The rules for requests: the section `outgoing`, else the variables that also the trainer alone reads.

        Raises SettingsError if one of those has an invalid value.
        """
        if "outgoing" in self.model_fields_set:
            return self.outgoing.rules
        try:
            return Rules.from_environment(os.environ)
        except ValueError as error:
            raise SettingsError(str(error)) from None


def load_settings() -> Settings:
    """Load the settings. Raises SettingsError; the text names every wrong setting."""
    settings = load(Settings)
    changes: dict[str, Any] = {"plugins": legacy_plugins(settings.plugins)}
    if not settings.queues:
        if not any(os.environ.get(name) for name in QUEUE_VARIABLES):
            raise SettingsError(NO_QUEUE)
        changes["queues"] = [legacy_queue(QueueSettings)]
    return settings.model_copy(update=changes)
