"""By whose permission models go where: the administrator's own identities, and the places that they may write to."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StorageAccess:
    """The administrator's own account and identities, and what they are open for; a link with its own permission needs none.

    `containers`: names within the connection string's account (`*`: any), or URLs of containers, for the workload identity.
    `buckets`: S3 buckets (`*`: any), each optionally with a prefix. `environment`: AZURE_… and AWS_… as the SDKs call them.
    """

    connection_string: str = field(default="", repr=False)
    containers: frozenset[str] = frozenset()
    buckets: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "StorageAccess":
        """Read AZURE_STORAGE_CONNECTION_STRING, VOTT_MODEL_CONTAINERS and VOTT_MODEL_BUCKETS (lists separated by commas)."""
        return cls(
            environment.get("AZURE_STORAGE_CONNECTION_STRING", ""),
            _listed(environment.get("VOTT_MODEL_CONTAINERS", "")),
            _listed(environment.get("VOTT_MODEL_BUCKETS", "")),
            {name: value for name, value in environment.items() if value and name.startswith(("AZURE_", "AWS_"))},
        )

    def allows_container(self, name: str) -> bool:
        """Return whether models may go to this container of the connection string's account."""
        return "*" in self.containers or name in self.containers

    def allows_url(self, url: str) -> bool:
        """Return whether models may go to this URL (without query) by workload identity; `*` is not meant for that."""
        return any(_is_below(url, place.rstrip("/")) for place in self.containers if "://" in place)

    def allows_bucket(self, place: str) -> bool:
        """Return whether models may go to this place, `bucket/prefix`."""
        return any(entry == "*" or _is_below(place, entry) for entry in self.buckets)


def _listed(text: str) -> frozenset[str]:
    entries = (entry.strip().removeprefix("s3://").rstrip("/") for entry in text.split(","))
    return frozenset(entry for entry in entries if entry)


def _is_below(place: str, allowed: str) -> bool:
    return place == allowed or place.startswith(f"{allowed}/")
