"""Settings of callbacks: time limits and signing keys."""

from pathlib import Path

from pydantic import Field

from vott_messaging.settings.section import Section


class CallbackSettings(Section):
    """How callbacks are sent."""

    timeout_seconds: float = Field(10, description="Time limit of one attempt.", gt=0)
    give_up_after_seconds: float = Field(
        86_400, description="How long after the end of the training the outcome is retried.", ge=0
    )
    signing_dir: Path | None = Field(
        None,
        description="Folder with the keys that sign callbacks, in the files `current` and `previous`. Default: callbacks are not signed.",
    )

    @property
    def signed(self) -> bool:
        """Whether callbacks are signed. Then the trainer sends none of them, because it does not get the keys."""
        return self.signing_dir is not None
