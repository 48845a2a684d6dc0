"""Environment variables of the trainer container (docs/trainer-contract.md), and those that torchrun reads."""

from typing import Any

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.objects.metadata import Manifest
from vott_operator.objects.service import RENDEZVOUS_PORT
from vott_operator.objects.volumes import CACHE_DIR, CHECKPOINTS_DIR, PLUGINS_DIR, TEMP_DIR, WORK_DIR
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.trainer import TrainerSettings

AZURE_CREDENTIAL = "AZURE_STORAGE_CONNECTION_STRING"
AWS_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
AWS_OPTIONS = ("AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL")


def environment(trainingjob: TrainingJob, settings: PodSettings, grace_seconds: Any) -> list[Manifest]:
    """All variables; `grace_seconds` is the pod's terminationGracePeriodSeconds."""
    variables = {
        "TRAININGJOB_UID": trainingjob.metadata.uid,
        # All variables of the rules, even unset ones: podTemplate can't change a variable that stands here.
        **settings.rules.to_environment(),
        "VOTT_WORK_DIR": WORK_DIR,
        "VOTT_WORK_BYTES": str(settings.trainer.work_bytes),
        "VOTT_GRACE_SECONDS": str(grace_seconds),
        "HOME": TEMP_DIR,
        "TMPDIR": TEMP_DIR,
        **_storage(settings.trainer),
    }
    if trainingjob.traceparent:
        variables["TRACEPARENT"] = trainingjob.traceparent
    if settings.log_format == "json":
        variables["VOTT_LOG_FORMAT"] = settings.log_format
    if budget := settings.trainer.budget_minutes:
        variables["VOTT_BUDGET_MINUTES"] = f"{budget:g}"
    # The container's limit; without one, what the node has for all pods.
    disk = {"resourceFieldRef": {"resource": "limits.ephemeral-storage"}}
    limits = [{"name": "VOTT_EPHEMERAL_BYTES", "valueFrom": disk}]
    return [*_literal(variables), *limits, *_store_credentials(settings.trainer), *_torchrun(trainingjob)]


def _storage(settings: TrainerSettings) -> dict[str, str]:
    """Where checkpoints, cache and plugins are, and which containers and buckets a message may name."""
    checkpoints, cache, plugins = settings.checkpoints, settings.image_cache, settings.plugins
    variables = {"VOTT_CHECKPOINT_SECONDS": str(checkpoints.every_seconds)}
    if location := checkpoints.url or (checkpoints.persistent_volume_claim and CHECKPOINTS_DIR):
        variables["VOTT_CHECKPOINTS"] = location
    if cache.persistent_volume_claim or cache.host_path:
        variables |= {"VOTT_IMAGE_CACHE": CACHE_DIR, "VOTT_IMAGE_CACHE_BYTES": str(cache.size_bytes)}
    if plugins.persistent_volume_claim or plugins.config_map:
        variables["VOTT_PLUGINS"] = PLUGINS_DIR
    lists = {
        "VOTT_MODEL_CONTAINERS": settings.model_store.containers,
        "VOTT_MODEL_BUCKETS": settings.model_store.buckets,
        "VOTT_DATA_CONTAINERS": settings.data_store.containers,
        "VOTT_DATA_BUCKETS": settings.data_store.buckets,
    }
    return variables | {name: ",".join(entries) for name, entries in lists.items() if entries}


def _store_credentials(settings: TrainerSettings) -> list[Manifest]:
    """Credentials from trainer.modelStore.secretName. If a required key is missing, the pod waits and its status names the key."""
    models, data, checkpoints = settings.model_store, settings.data_store, settings.checkpoints.url
    if not models.secret_name:
        return []
    is_required = {}
    if models.containers or data.containers or checkpoints.startswith("http"):
        is_required[AZURE_CREDENTIAL] = bool(models.named_containers or data.named_containers)
    if models.buckets or data.buckets or checkpoints.startswith("s3:"):
        is_required |= dict.fromkeys(AWS_CREDENTIALS, True) | dict.fromkeys(AWS_OPTIONS, False)
    return [_from_secret(models.secret_name, name, required=required) for name, required in is_required.items()]


def _torchrun(trainingjob: TrainingJob) -> list[Manifest]:
    """Variables that torchrun reads in place of arguments (https://docs.pytorch.org/docs/stable/elastic/run.html)."""
    trainer, name = trainingjob.spec.trainer, trainingjob.metadata.name
    if trainer.nodes == 1 and trainer.gpus <= 1:
        return []
    # With a subdomain, the host name of a Job's pod is the Job's name and the pod's index.
    address = f"{names.job(name)}-0.{names.service(name)}" if trainer.nodes > 1 else "127.0.0.1"
    rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{c.ANNOTATION_COMPLETION_INDEX}']"}}
    return [
        *_literal({"PET_NNODES": str(trainer.nodes), "PET_NPROC_PER_NODE": str(max(1, trainer.gpus))}),
        {"name": "PET_NODE_RANK", "valueFrom": rank},
        *_literal({"PET_MASTER_ADDR": address, "PET_MASTER_PORT": str(RENDEZVOUS_PORT)}),
    ]


def _literal(variables: dict[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def _from_secret(secret: str, name: str, *, required: bool) -> Manifest:
    reference = {"name": secret, "key": name} | ({} if required else {"optional": True})
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}
