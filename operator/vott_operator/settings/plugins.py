"""Settings of plugins outside the trainer's image."""

from typing import Self

from pydantic import Field, model_validator

from vott_messaging.settings.section import Section


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
