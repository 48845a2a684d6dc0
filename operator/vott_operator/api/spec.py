"""The spec of a TrainingJob, typed: the source of `spec` in the CustomResourceDefinition (`crd.py`)."""

from typing import Annotated, Any

from pydantic import Field

from vott_messaging.messages.message import PLUGIN_PATTERN
from vott_operator.api.api_model import ApiModel

HTTP_URL_RULE = r"self.matches('^https?://[^\\s/?#@]+(/[^\\s?#]*)?(\\?\\S*)?$')"
HTTP_URL_MESSAGE = "must be an http(s) URL without user name and fragment, for example https://host/path"
STORE_URL_RULE = r"self.matches('^(https?://[^\\s/?#@]+(/[^\\s?#]*)?(\\?\\S*)?|s3://[^\\s/?#@]+(/[^\\s?#]*)?)$')"
STORE_URL_MESSAGE = (
    "must be an http(s) URL without user name and fragment, or s3://bucket/prefix, for example https://host/path"
)
MAX_TTL_SECONDS = 315_360_000
"""Ten years."""


class CallbackLocation(ApiModel):
    """A callback, without its credential."""

    url: str = Field(
        description="http(s) URL. Of a callback in the Secret of urlSecretRef only the scheme and host, because a webhook's path may be a"
        " credential. TrainingJobs made from messages always have it there.",
        max_length=8192,
        json_schema_extra={"x-kubernetes-validations": [{"rule": HTTP_URL_RULE, "message": HTTP_URL_MESSAGE}]},
    )


class AnnotationsLocation(ApiModel):
    """The annotation file, without its credential."""

    url: str = Field(
        description="http(s) URL, or s3://bucket/key in a bucket of the operator's setting trainer.dataStore. If the full URL carries a"
        " credential (a SAS or presigned query), this is the URL without its query, and the full URL is in the Secret of urlSecretRef.",
        max_length=8192,
        json_schema_extra={"x-kubernetes-validations": [{"rule": STORE_URL_RULE, "message": STORE_URL_MESSAGE}]},
    )


class ModelLocation(ApiModel):
    """The model's destination, without its credential."""

    url: str = Field(
        description="http(s) or s3 URL, without its query if that carries a credential, as for annotations. A path that ends with"
        " a slash gets the model's files, any other path one archive.",
        max_length=8192,
        json_schema_extra={"x-kubernetes-validations": [{"rule": STORE_URL_RULE, "message": STORE_URL_MESSAGE}]},
    )


class SecretReference(ApiModel):
    """A Secret in the same namespace."""

    name: str = Field(description="Name of the Secret.", min_length=1, max_length=253)


IntOrString = Annotated[int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True})]


class ResourceRequirements(ApiModel):
    """CPU, memory and ephemeral storage of the trainer container."""

    requests: dict[str, IntOrString] | None = Field(None, description="Guaranteed resources, for example cpu: 4.")
    limits: dict[str, IntOrString] | None = Field(None, description="Maximum resources, for example memory: 16Gi.")


class Trainer(ApiModel):
    """The pod that trains."""

    image: str | None = Field(
        None,
        description="Image of the trainer container. Default: the operator's setting trainer.image.",
        max_length=1024,
    )
    gpus: int = Field(1, description="Number of GPUs for each node; 0 trains on the CPU.", ge=0, le=64)
    gpu_resource_name: str = Field(
        "nvidia.com/gpu",
        description="Extended resource of a GPU; MIG slices (nvidia.com/mig-1g.10gb) and shared GPUs work too.",
        min_length=1,
        max_length=253,
    )
    nodes: int = Field(
        1,
        description="Number of pods that train together, each with its own GPUs. If one of them fails, all restart.",
        ge=1,
        le=64,
    )
    resources: ResourceRequirements | None = Field(
        None,
        description="CPU and memory of the trainer container. Default: the operator's setting trainer.resources, which this replaces as a whole.",
    )


class PodTemplateMetadata(ApiModel):
    """Labels and annotations of the pods."""

    labels: dict[str, str] | None = Field(None, description="Labels, in addition to the operator's own.")
    annotations: dict[str, str] | None = Field(None, description="Annotations, in addition to the operator's own.")


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
    """What to train, from which annotations, and the model's destination."""

    annotations: AnnotationsLocation = Field(description="The annotation file: the images and the objects on them.")
    model: ModelLocation = Field(
        description="Destination of the trained model: an Azure Storage container or a blob in it, an S3 bucket, or a presigned URL."
    )
    callback: CallbackLocation | None = Field(None, description="URL to post progress and the outcome to. Optional.")
    url_secret_ref: SecretReference | None = Field(
        None,
        description="Secret with the full URLs, if one of them carries a credential, and for a message's callback: one key (annotations,"
        " model, callback, initialWeights) for each URL of this spec.",
    )
    plugin: str = Field("detection", description="Name of the trainer's plugin.", pattern=PLUGIN_PATTERN, max_length=63)
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="The plugin's parameters, for example epochs, batchSize, learningRate or architecture. The plugin checks them."
        " A URL in initialWeights is without its credential.",
        json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    )
    trainer: Trainer = Field(
        default_factory=Trainer,
        description="Image, GPUs and other resources of the pod that trains.",
        json_schema_extra={"default": {}},  # so that the API server sets the defaults of its fields
    )
    pod_template: PodTemplate | None = Field(
        None,
        description="Additions to the pods that the operator creates. Lists are merged by name, as in Kubernetes' strategic merge patch."
        " A value that contradicts the operator's is an error.",
    )
    suspend: bool = Field(
        False,
        description="True stops the pods and starts none until it is false again. Can be changed.",
    )
    backoff_limit: int = Field(
        3,
        description="How often a failed training is retried. Interruptions (eviction, drain, preemption, a lost node) do not count;"
        " failures that a retry can't fix (bad annotations, refused upload) are final.",
        ge=0,
        le=100,
    )
    active_deadline_seconds: int | None = Field(
        None,
        description="The training fails if it is not complete this many seconds after the start of its Job, including the wait for a node and"
        " all attempts. A resume restarts the time.",
        ge=1,
        le=31_536_000,
    )
    pending_deadline_seconds: int | None = Field(
        None,
        description="The training fails if its pod does not run within this many seconds of its creation. Default: no limit.",
        ge=1,
        le=31_536_000,
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        description="The TrainingJob and the objects it owns are deleted this many seconds after its end, once its outcome callback was"
        " delivered and its message was removed from the queue. Default: never. Can be changed.",
        ge=0,
        le=MAX_TTL_SECONDS,
    )
