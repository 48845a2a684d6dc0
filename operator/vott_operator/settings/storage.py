"""Settings of the administrator's storage: model stores, workload identity, checkpoints and the image cache."""

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from vott_messaging.settings.section import Section
from vott_messaging.urls import BUCKET, check_http_url, check_store_url

QUANTITY = re.compile(r"(?P<number>\d+)(?P<unit>k|Ki|[MGTP]i?|)")
UNITS = "KMGTP"


class StoreLists(Section):
    """Containers and buckets that a message may name without a credential."""

    containers: list[str] = Field(
        default_factory=list,
        description="Containers that a message may name without a SAS: names in the connection string's account, * for all of them, or"
        " https://ACCOUNT.blob.core.windows.net/CONTAINER for the workload identity.",
    )
    buckets: list[str] = Field(
        default_factory=list,
        description="S3 buckets that a message may name, or a part of one: BUCKET/PREFIX; * for all.",
    )

    @field_validator("containers")
    @classmethod
    def _containers_are_names_or_urls(cls, containers: list[str]) -> list[str]:
        for container in containers:
            if "," in container:
                raise ValueError(f"has {container!r}; list each container as a separate item")
            if "://" in container and "?" in check_http_url(container):
                raise ValueError("has a URL with a query; send a SAS in the message instead")
        return containers

    @field_validator("buckets")
    @classmethod
    def _buckets_are_names(cls, buckets: list[str]) -> list[str]:
        for bucket in buckets:
            if "," in bucket or not (bucket == "*" or BUCKET.fullmatch(bucket.partition("/")[0])):
                raise ValueError(f"has {bucket!r}; use BUCKET or BUCKET/PREFIX, each as a separate item")
        return buckets

    @property
    def named_containers(self) -> list[str]:
        """The containers in the connection string's account."""
        return [container for container in self.containers if "://" not in container]


class ModelStore(StoreLists):
    """Storage that the trainer may upload to, and read data from, with the administrator's credentials."""

    secret_name: str = Field(
        "",
        description="Secret with AZURE_STORAGE_CONNECTION_STRING or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN,"
        " AWS_REGION, AWS_ENDPOINT_URL), in the training's namespace.",
    )


class DataStore(StoreLists):
    """Storage that the trainer may only read annotations and images from, with the credentials of the model store."""


class WorkloadIdentitySettings(Section):
    """A managed identity that is federated with the trainer's ServiceAccount."""

    client_id: str = Field("", description="Client id of the identity; it opens containers without a Secret.")


class Checkpoints(Section):
    """Where trainings save their state, to resume after an interruption."""

    url: str = Field(
        "",
        description="A container, or s3://bucket/prefix, that modelStore's Secret or the workload identity may write.",
    )
    persistent_volume_claim: str = Field(
        "", description="Or a PersistentVolumeClaim of this name in each namespace that trainings run in."
    )
    every_seconds: int = Field(600, description="Time between checkpoints.", ge=1)

    @field_validator("url")
    @classmethod
    def _url_is_a_store(cls, url: str) -> str:
        if url and "?" in check_store_url(url):
            raise ValueError(
                "has a query, but settings are not secret; use modelStore.secretName or workloadIdentity instead"
            )
        return url

    @model_validator(mode="after")
    def _has_one_location(self) -> Self:
        if self.url and self.persistent_volume_claim:
            raise ValueError("has both url and persistentVolumeClaim; remove one")
        return self


class ImageCache(Section):
    """A cache of downloaded images, shared by the trainings of a node or a volume."""

    persistent_volume_claim: str = Field(
        "", description="A PersistentVolumeClaim of this name in each namespace that trainings run in."
    )
    host_path: str = Field("", description="Or a folder of each node that user 10001 may write.")
    size_limit: str = Field("100Gi", description="Above this size, the least recently used images are removed.")

    @field_validator("host_path")
    @classmethod
    def _host_path_is_absolute(cls, path: str) -> str:
        if path and not path.startswith("/"):
            raise ValueError(f"{path!r} must start with a slash: it is a folder of the node")
        return path

    @field_validator("size_limit")
    @classmethod
    def _size_is_a_quantity(cls, size: str) -> str:
        size_in_bytes(size)
        return size

    @model_validator(mode="after")
    def _has_one_location(self) -> Self:
        if self.persistent_volume_claim and self.host_path:
            raise ValueError("has both persistentVolumeClaim and hostPath; remove one")
        return self

    @property
    def size_bytes(self) -> int:
        """The size limit in bytes."""
        return size_in_bytes(self.size_limit)


def size_in_bytes(quantity: str) -> int:
    """Convert a Kubernetes quantity such as 100Gi to bytes; raise ValueError if it is none."""
    match = QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(f"{quantity!r} is not a size; use a whole number with Mi, Gi or Ti, for example 100Gi")
    unit: str = match["unit"]
    base = 1024 if unit.endswith("i") else 1000
    exponent = UNITS.index(unit[0].upper()) + 1 if unit else 0
    return int(match["number"]) * int(base**exponent)
