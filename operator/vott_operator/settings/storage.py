"""Which places the trainings may use beside a message's own: stores, volumes and folders that the administrator names."""

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from vott_operator.api.urls import BUCKET, check_http_url, check_model_url
from vott_operator.settings.section import Section

QUANTITY = re.compile(r"(?P<number>\d+)(?P<unit>k|Ki|[MGTP]i?|)")
UNITS = "KMGTP"


class ModelStore(Section):
    """Where the trainer may upload with the administrator's own permission."""

    secret_name: str = Field(
        "",
        description="Secret with AZURE_STORAGE_CONNECTION_STRING or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN,"
        " AWS_REGION, AWS_ENDPOINT_URL), in the training's namespace.",
    )
    containers: list[str] = Field(
        default_factory=list,
        description="Containers that a message may name without a SAS: names in the connection string's account, * for all of them, or"
        " https://ACCOUNT.blob.core.windows.net/CONTAINER for the workload identity.",
    )
    buckets: list[str] = Field(
        default_factory=list,
        description="Buckets of S3 that a message may name, or parts of one: BUCKET/PREFIX; * for all.",
    )

    @field_validator("containers")
    @classmethod
    def _containers_are_names_or_urls(cls, containers: list[str]) -> list[str]:
        for container in containers:
            if "," in container:
                raise ValueError(f"has {container!r}: write each container as an item of its own")
            if "://" in container and "?" in check_http_url(container):
                raise ValueError("has a URL with a query; a SAS belongs into the message, not here")
        return containers

    @field_validator("buckets")
    @classmethod
    def _buckets_are_names(cls, buckets: list[str]) -> list[str]:
        for bucket in buckets:
            if "," in bucket or not (bucket == "*" or BUCKET.fullmatch(bucket.partition("/")[0])):
                raise ValueError(f"has {bucket!r}: write BUCKET or BUCKET/PREFIX, each as an item of its own")
        return buckets

    @property
    def named_containers(self) -> list[str]:
        """Those of the connection string's account."""
        return [container for container in self.containers if "://" not in container]


class WorkloadIdentity(Section):
    """A managed identity that the trainer's ServiceAccount stands for."""

    client_id: str = Field("", description="Its client id; it opens containers, without a Secret.")


class Checkpoints(Section):
    """Where trainings keep what they go on from after an interruption."""

    url: str = Field(
        "", description="A container, or s3://bucket/prefix, which the own identity (Secret or workload) may write."
    )
    persistent_volume_claim: str = Field(
        "", description="Or a PersistentVolumeClaim, of that name in each namespace that trainings run in."
    )
    every_seconds: int = Field(600, description="How often a checkpoint is taken.", ge=1)

    @field_validator("url")
    @classmethod
    def _url_is_a_store(cls, url: str) -> str:
        if url and "?" in check_model_url(url):
            raise ValueError("has a query; the settings are no Secret: let the own identity open it, without a SAS")
        return url

    @model_validator(mode="after")
    def _there_is_one_place(self) -> Self:
        if self.url and self.persistent_volume_claim:
            raise ValueError("has both url and persistentVolumeClaim; leave one of them out")
        return self


class ImageCache(Section):
    """Images that trainings of one node or of one volume need download only once."""

    persistent_volume_claim: str = Field(
        "", description="A PersistentVolumeClaim, of that name in each namespace that trainings run in."
    )
    host_path: str = Field("", description="Or a folder of each node that user 10001 may write.")
    size_limit: str = Field("100Gi", description="What was not used for longest is removed beyond that size.")

    @field_validator("host_path")
    @classmethod
    def _host_path_is_absolute(cls, path: str) -> str:
        if path and not path.startswith("/"):
            raise ValueError(f"{path!r} must begin with a slash: it is a folder of the node")
        return path

    @field_validator("size_limit")
    @classmethod
    def _size_can_be_counted(cls, size: str) -> str:
        size_in_bytes(size)
        return size

    @model_validator(mode="after")
    def _there_is_one_place(self) -> Self:
        if self.persistent_volume_claim and self.host_path:
            raise ValueError("has both persistentVolumeClaim and hostPath; leave one of them out")
        return self

    @property
    def size_bytes(self) -> int:
        """The size limit in bytes."""
        return size_in_bytes(self.size_limit)


class PluginFolder(Section):
    """Plugins that are not in the trainer's image."""

    config_map: str = Field(
        "", description="A ConfigMap with a file NAME.py for each plugin; in each namespace that trainings run in."
    )
    persistent_volume_claim: str = Field(
        "",
        description="Or a PersistentVolumeClaim with NAME.py or NAME/plugin.py for each; in each namespace that trainings run in.",
    )

    @model_validator(mode="after")
    def _there_is_one_place(self) -> Self:
        if self.config_map and self.persistent_volume_claim:
            raise ValueError("has both configMap and persistentVolumeClaim; leave one of them out")
        return self


def size_in_bytes(quantity: str) -> int:
    """The bytes of a Kubernetes quantity such as 100Gi; raises ValueError for what is none."""
    found = QUANTITY.fullmatch(quantity)
    if found is None:
        raise ValueError(f"{quantity!r} is no size; write a whole number with Mi, Gi or Ti, for example 100Gi")
    unit: str = found["unit"]
    base = 1024 if unit.endswith("i") else 1000
    exponent = UNITS.index(unit[0].upper()) + 1 if unit else 0
    return int(found["number"]) * int(base**exponent)
