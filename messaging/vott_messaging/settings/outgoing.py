"""Settings of outgoing requests: which addresses the URLs of messages may lead to."""

from typing import Annotated

from pydantic import AfterValidator, Field

from vott_guard import rules
from vott_guard.rules import Rules
from vott_messaging.settings.section import Section


def _network(text: str) -> str:
    rules.network(text)
    return text.strip()


Host = Annotated[str, AfterValidator(rules.host_pattern)]
Network = Annotated[str, AfterValidator(_network)]


class OutgoingSettings(Section):
    """Which addresses the URLs of messages may lead to: annotations, images, weights, models and callbacks."""

    allow_http: bool = Field(False, description="Allow http, not only https.")
    public_addresses: bool = Field(
        True, description="Allow all public addresses; if false, only those in hosts and networks."
    )
    hosts: list[Host] = Field(
        default_factory=list,
        description="Host names that may have any address except link-local and metadata ones; *.example.com for all subdomains.",
    )
    networks: list[Network] = Field(
        default_factory=list, description="Networks that are allowed besides public addresses, such as 10.1.2.0/24."
    )

    @property
    def rules(self) -> Rules:
        """The settings as the guard's rules."""
        networks = tuple(map(rules.network, self.networks))
        return Rules(self.allow_http, self.public_addresses, tuple(self.hosts), networks)

    def __str__(self) -> str:
        schemes = "http and https" if self.allow_http else "https only"
        places = ["public addresses"] if self.public_addresses else []
        return f"{schemes}, to {', '.join([*places, *self.hosts, *self.networks]) or 'nowhere'}"
