"""What a TrainingJob is asked to do, typed: the source of `spec` in the CustomResourceDefinition (`crd.py`)."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

HTTP_URL_RULE = r"self.matches('^https?://[^\\s/?#@]+(/[^\\s?#]*)?(\\?\\S*)?$')"
HTTP_URL_MESSAGE = "must be an http(s) URL without user name and fragment, for example https://host/path"
MODEL_URL_RULE = r"self.matches('^(https?://[^\\s/?#@]+(/[^\\s?#]*)?(\\?\\S*)?|s3://[^\\s/?#@]+(/[^\\s?#]*)?)$')"
MODEL_URL_MESSAGE = (
    "must be an http(s) URL without user name and fragment, or s3://bucket/prefix, for example https://host/path"
)
MAX_TTL_SECONDS = 315_360_000
"""Ten years."""
PLUGIN_PATTERN = r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"


class ApiModel(BaseModel):
    """A piece of the Kubernetes API: camelCase outside, unknown fields ignored (the API server prunes them)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    def to_api(self) -> dict[str, Any]:
        """The JSON form, without what was not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


class Location(ApiModel):
    """A URL that carries no credential in the open."""

    url: str = Field(
        description="http(s) URL. Where the full URL carries a credential (a SAS or presigned query), this is the URL without its"
        " query, and the full one lies in the Secret that urlSecretRef names.",
        max_length=8192,
        json_schema_extra={"x-kubernetes-validations": [{"rule": HTTP_URL_RULE, "message": HTTP_URL_MESSAGE}]},
    )


class ModelLocation(ApiModel):
    """Where a model goes, without a credential in the open."""

    url: str = Field(
        description="http(s) or s3 URL, or with a credential in its query the URL without that, as for annotations. A path that ends with"
        " a slash takes the files themselves, any other one archive.",
        max_length=8192,
        json_schema_extra={"x-kubernetes-validations": [{"rule": MODEL_URL_RULE, "message": MODEL_URL_MESSAGE}]},
    )


class SecretReference(ApiModel):
    """A Secret of the same namespace."""

    name: str = Field(description="Name of the Secret.", min_length=1, max_length=253)


IntOrString = Annotated[int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True})]


class ResourceRequirements(ApiModel):
    """CPU, memory and ephemeral storage of the trainer container."""

    requests: dict[str, IntOrString] | None = Field(
        None, description="What the container is guaranteed, for example cpu: 4."
    )
    limits: dict[str, IntOrString] | None = Field(
        None, description="What the container may use at most, for example memory: 16Gi."
    )


class Trainer(ApiModel):
    """The pod that trains."""

    image: str | None = Field(
        None,
        description="Image of the trainer container. Default: the operator's setting trainer.image.",
        max_length=1024,
    )
    gpus: int = Field(1, description="Number of GPUs, for each node. 0 trains on the CPU.", ge=0, le=64)
    gpu_resource_name: str = Field(
        "nvidia.com/gpu",
        description="Extended resource that is a GPU here; the names of MIG slices (nvidia.com/mig-1g.10gb) and shared GPUs work too.",
        min_length=1,
        max_length=253,
    )
    nodes: int = Field(
        1,
        description="Number of pods that train together, each with its own GPUs. When one of them fails, all start again.",
        ge=1,
        le=64,
    )
    resources: ResourceRequirements | None = Field(
        None, description="CPU and memory of the trainer container. Default: the operator's setting trainer.resources."
    )


class PodTemplateMetadata(ApiModel):
    """Labels and annotations of the pods."""

    labels: dict[str, str] | None = Field(None, description="Labels, beside the operator's own.")
    annotations: dict[str, str] | None = Field(None, description="Annotations, beside the operator's own.")


class PodTemplate(ApiModel):
    """A partial PodTemplateSpec."""

    metadata: PodTemplateMetadata | None = Field(None, description="Labels and annotations of the pods.")
    spec: dict[str, Any] | None = Field(
        None,
        description="A partial PodSpec, for example tolerations, nodeSelector, priorityClassName, volumes, and volumeMounts or env of"
        " the container `trainer`.",
        json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    )


class TrainingJobSpec(ApiModel):
    """What to train, from which annotations, and where the model goes."""

    annotations: Location = Field(description="The annotation file: which images, and what is on them.")
    model: ModelLocation = Field(
        description="Where the trained model goes: a container of Azure Storage or one blob in it, a bucket of S3, or a presigned URL."
    )
    callback: Location | None = Field(None, description="Where progress and the outcome are posted to. Optional.")
    url_secret_ref: SecretReference | None = Field(
        None,
        description="Secret with the full URLs, where one carries a credential: one key (annotations, model, callback, initialWeights) for each"
        " URL of this spec.",
    )
    plugin: str = Field("detection", description="Name of the trainer's plugin.", pattern=PLUGIN_PATTERN, max_length=63)
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="The plugin's parameters, for example epochs, batchSize, learningRate or architecture. The plugin checks them. The URL of"
        " initialWeights stands here without its credential.",
        json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    )
    trainer: Trainer = Field(
        default_factory=Trainer,
        description="Image, GPUs and other resources of the pod that trains.",
        json_schema_extra={"default": {}},  # so that the API server fills in the defaults within
    )
    pod_template: PodTemplate | None = Field(
        None,
        description="Merged under what the operator sets of the training's pods, lists by name where Kubernetes does that."
        " Something that the operator sets to another value is refused.",
    )
    suspend: bool = Field(
        False,
        description="True stops the training's pods and starts no new ones until it is false again. May be changed.",
    )
    backoff_limit: int = Field(
        3,
        description="How often a training that failed by a fault of its own is tried again. Interruptions (eviction, drain, preemption,"
        " a lost node) do not count; failures that trying again can't help (bad annotations, refused upload) are final.",
        ge=0,
        le=100,
    )
    active_deadline_seconds: int | None = Field(
        None,
        description="The training fails when it is not complete this many seconds after its Job was started. Waiting for a node and all attempts"
        " count; when it is resumed, the time begins anew.",
        ge=1,
        le=31_536_000,
    )
    pending_deadline_seconds: int | None = Field(
        None,
        description="The training fails when it waits this many seconds for a node. Default: it waits.",
        ge=1,
        le=31_536_000,
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        description="The TrainingJob and all that it made in the cluster are deleted this many seconds after it ended, its callback was told"
        " and its message was removed from the queue. Default: it stays. May be changed.",
        ge=0,
        le=MAX_TTL_SECONDS,
    )
