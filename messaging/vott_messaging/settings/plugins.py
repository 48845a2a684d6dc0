"""Settings of plugins: which ones a message may choose."""

from typing import Self

from pydantic import Field, model_validator

from vott_messaging import reasons
from vott_messaging.errors import MessageRejectedError
from vott_messaging.messages.message import TrainMessage
from vott_messaging.settings.section import Section


class PluginSettings(Section):
    """Which plugins a message may choose."""

    default: str = Field(
        "detection", description="Plugin of messages that name none. Environment variable: VOTT_TRAIN_PLUGIN."
    )
    allowed: list[str] = Field(
        default_factory=lambda: ["detection", "classification", "segmentation", "hello-world"],
        description="Plugins that a message may name.",
    )

    @model_validator(mode="after")
    def _default_is_allowed(self) -> Self:
        if self.default not in self.allowed:
            raise ValueError(f".default is {self.default!r}, which is not in .allowed {self.allowed}; add it there")
        return self

    def plugin_of(self, message: TrainMessage) -> str:
        """The plugin that trains a message. Raises MessageRejectedError if it is not allowed."""
        plugin = message.plugin or self.default
        if plugin not in self.allowed:
            raise MessageRejectedError(
                reasons.PLUGIN_NOT_ALLOWED,
                f'Field "plugin": {plugin!r} is not allowed here; choose one of {", ".join(self.allowed)}.',
                message.status,
            )
        return plugin
