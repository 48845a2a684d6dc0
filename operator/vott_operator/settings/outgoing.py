"""What leaves the cluster for the sake of a message: which addresses its URLs may lead to, and how callbacks are sent."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from vott_guard import rules
from vott_guard.rules import Rules
from vott_operator.settings.section import Section


def _network(text: str) -> str:
    rules.network(text)
    return text.strip()


Host = Annotated[str, AfterValidator(rules.host_pattern)]
Network = Annotated[str, AfterValidator(_network)]


class OutgoingSettings(Section):
    """Which addresses the URLs of messages may lead to: annotations, images, weights, models and callbacks."""

    allow_http: bool = Field(False, description="Allow http, not only https.")
    public_addresses: bool = Field(
        True, description="Allow every address of the public internet; without it, only what the lists name."
    )
    hosts: list[Host] = Field(
        default_factory=list,
        description="Names that may lead to any address but link-local and metadata ones; *.example.com for all below it.",
    )
    networks: list[Network] = Field(
        default_factory=list, description="Networks that may be connected to beside public addresses, as 10.1.2.0/24."
    )

    @property
    def rules(self) -> Rules:
        """The same for the guard."""
        networks = tuple(map(rules.network, self.networks))
        return Rules(self.allow_http, self.public_addresses, tuple(self.hosts), networks)

    def __str__(self) -> str:
        schemes = "http and https" if self.allow_http else "https only"
        places = ["public addresses"] if self.public_addresses else []
        return f"{schemes}, to {', '.join([*places, *self.hosts, *self.networks]) or 'nowhere'}"


class CallbackSettings(Section):
    """How callbacks are sent."""

    timeout_seconds: float = Field(10, description="Time limit of one attempt.", gt=0)
    give_up_after_seconds: float = Field(
        86_400, description="How long after the training's end the outcome is still tried.", ge=0
    )
    signing_dir: Path | None = Field(
        None,
        description="Folder with the keys that callbacks are signed with, in the files `current` and `previous`; none: no signatures.",
    )

    @property
    def signed(self) -> bool:
        """Whether callbacks are signed, and so all sent by the operator, which alone has the keys."""
        return self.signing_dir is not None
