"""Settings of plugins: which ones a message may choose, and where plugins outside the image are."""

from typing import Self

from pydantic import Field, model_validator

from vott_operator.settings.section import Section


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


class PluginFolder(Section):
    """Plugins that are not in the trainer's image."""

    config_map: str = Field(
        "", description="ConfigMap with a file NAME.py for each plugin, in each namespace that trainings run in."
    )
    persistent_volume_claim: str = Field(
        "",
        description="Or a PersistentVolumeClaim with NAME.py or NAME/plugin.py for each, in each namespace that trainings run in.",
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if self.config_map and self.persistent_volume_claim:
            raise ValueError("has both configMap and persistentVolumeClaim; remove one")
        return self
