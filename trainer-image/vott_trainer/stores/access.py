"""The administrator's storage identities, and the containers and buckets that they may write to and read from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# Settings as errors name them: with the chart, and without.
CONTAINERS_SETTING = "trainer.modelStore.containers (VOTT_MODEL_CONTAINERS)"
BUCKETS_SETTING = "trainer.modelStore.buckets (VOTT_MODEL_BUCKETS)"
DATA_SETTING = "trainer.dataStore (VOTT_DATA_CONTAINERS, VOTT_DATA_BUCKETS)"


@dataclass(frozen=True)
class StorageAccess:
    """The administrator's identities and lists. A link with its own permission needs none of them.

    Attributes:
        connection_string: of an Azure storage account, with its key or a SAS.
        containers: names in that account (`*`: any), or URLs of containers for the workload identity.
        buckets: S3 buckets (`*`: any), with or without a prefix.
        environment: the SDKs' AZURE_… and AWS_… variables.
        data_containers: containers to read annotations and images from, in addition to those of models.
        data_buckets: S3 buckets for the same.
    """

    connection_string: str = field(default="", repr=False)
    containers: frozenset[str] = frozenset()
    buckets: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    data_containers: frozenset[str] = frozenset()
    data_buckets: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "StorageAccess":
        """Read AZURE_STORAGE_CONNECTION_STRING, and VOTT_MODEL_ and VOTT_DATA_ with CONTAINERS and BUCKETS (lists, separated by commas)."""
        return cls(
            environment.get("AZURE_STORAGE_CONNECTION_STRING", ""),
            _split_list(environment.get("VOTT_MODEL_CONTAINERS", "")),
            _split_list(environment.get("VOTT_MODEL_BUCKETS", "")),
            {name: value for name, value in environment.items() if value and name.startswith(("AZURE_", "AWS_"))},
            _split_list(environment.get("VOTT_DATA_CONTAINERS", "")),
            _split_list(environment.get("VOTT_DATA_BUCKETS", "")),
        )

    def to_read(self) -> "StorageAccess":
        """Return the same identities with the lists of what they may read."""
        containers, buckets = self.containers | self.data_containers, self.buckets | self.data_buckets
        return replace(self, containers=containers, buckets=buckets)

    def allows_container(self, name: str) -> bool:
        """Whether a container of the connection string's account is listed."""
        return "*" in self.containers or name in self.containers

    def allows_url(self, url: str) -> bool:
        """Whether a URL, without query, is listed for the workload identity; `*` is not for URLs."""
        return any(_is_below(url, entry.rstrip("/")) for entry in self.containers if "://" in entry)

    def allows_bucket(self, path: str) -> bool:
        """Whether `bucket/prefix` is listed."""
        return any(entry == "*" or _is_below(path, entry) for entry in self.buckets)


def _split_list(text: str) -> frozenset[str]:
    entries = (entry.strip().removeprefix("s3://").rstrip("/") for entry in text.split(","))
    return frozenset(entry for entry in entries if entry)


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")
