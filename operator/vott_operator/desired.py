"""From a TrainingJob to the objects it needs: the Job and the Secret with its URLs. Pure."""

import json
from typing import Any

from . import constants as c
from . import names
from .message import TrainMessage
from .models import TrainingJob
from .settings import TrainerSettings
from .urls import has_credentials, without_credentials

Manifest = dict[str, Any]
WORK_DIR = "/work"
TEMP_DIR = "/tmp"  # noqa: S108 - inside the container, an emptyDir of its own
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - likewise

URL_FIELDS = ("annotations", "model", "callback")
FLAGS = {"annotations": "--annotations", "model": "--model", "callback": "--status"}
GPU_TOLERATIONS = (
    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
)


def trainingjob_manifest(
    message: TrainMessage,
    *,
    name: str,
    namespace: str,
    plugin: str,
    annotations: dict[str, str],
    ttl_seconds: int | None = None,
) -> Manifest:
    """The TrainingJob for a message. URLs go in without their credentials; `url_secret` holds the full ones."""
    spec: Manifest = {"plugin": plugin, "parameters": message.parameters}
    spec |= {field: {"url": without_credentials(url)} for field, url in _urls(message).items()}
    if _needs_secret(message):
        spec["urlSecretRef"] = {"name": names.url_secret(name)}
    if ttl_seconds is not None:
        spec["ttlSecondsAfterFinished"] = ttl_seconds
    return {
        "apiVersion": c.API_VERSION,
        "kind": c.KIND,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {c.LABEL_MANAGED_BY: c.MANAGED_BY},
            "annotations": annotations,
        },
        "spec": spec,
    }


def url_secret(message: TrainMessage, owner: TrainingJob) -> Manifest | None:
    """The Secret with the message's full URLs, owned by the TrainingJob; None when no URL carries a credential."""
    if not _needs_secret(message):
        return None
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": _child_metadata(owner, names.url_secret(owner.metadata.name)),
        "immutable": True,
        "stringData": _urls(message),
    }


def _urls(message: TrainMessage) -> dict[str, str]:
    urls = {"annotations": message.annotations, "model": message.model, "callback": message.status}
    return {field: url for field, url in urls.items() if url}


def _needs_secret(message: TrainMessage) -> bool:
    return any(has_credentials(url) for url in _urls(message).values())


def job(trainingjob: TrainingJob, settings: TrainerSettings) -> Manifest:
    """The batch/v1 Job that trains."""
    spec = trainingjob.spec
    metadata = _child_metadata(trainingjob, names.job(trainingjob.metadata.name))
    if queue := trainingjob.metadata.labels.get(c.KUEUE_QUEUE_LABEL):
        metadata["labels"][c.KUEUE_QUEUE_LABEL] = queue
    job_spec: Manifest = {
        "backoffLimit": spec.backoff_limit,
        "suspend": spec.suspend,
        "podFailurePolicy": _pod_failure_policy(),
        "template": {"metadata": {"labels": _labels(trainingjob)}, "spec": _pod_spec(trainingjob, settings)},
    }
    if spec.active_deadline_seconds is not None:
        job_spec["activeDeadlineSeconds"] = spec.active_deadline_seconds
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job_spec}


def _labels(owner: TrainingJob) -> dict[str, str]:
    return {c.LABEL_MANAGED_BY: c.MANAGED_BY, c.LABEL_TRAININGJOB: owner.metadata.name}


def _child_metadata(owner: TrainingJob, name: str) -> Manifest:
    reference = {
        "apiVersion": c.API_VERSION,
        "kind": c.KIND,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "name": name,
        "namespace": owner.metadata.namespace,
        "labels": _labels(owner),
        "ownerReferences": [reference],
    }


def _pod_failure_policy() -> Manifest:
    return {
        "rules": [
            # Eviction, drain and preemption are not the training's fault.
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "FailJob",
                "onExitCodes": {
                    "containerName": c.TRAINER_CONTAINER,
                    "operator": "In",
                    "values": list(c.EXIT_CODES_PERMANENT),
                },
            },
        ]
    }


def _pod_spec(trainingjob: TrainingJob, settings: TrainerSettings) -> Manifest:
    volumes, _ = zip(*_volumes(trainingjob, settings), strict=True)
    return {
        "restartPolicy": "Never",
        "serviceAccountName": settings.service_account_name,
        "terminationGracePeriodSeconds": settings.termination_grace_period_seconds,
        "enableServiceLinks": False,
        "nodeSelector": settings.node_selector,
        "tolerations": [*GPU_TOLERATIONS, *settings.tolerations],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": c.TRAINER_UID,
            "runAsGroup": c.TRAINER_UID,
            "fsGroup": c.TRAINER_UID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(trainingjob, settings)],
        "volumes": list(volumes),
    }


def _container(trainingjob: TrainingJob, settings: TrainerSettings) -> Manifest:
    _, mounts = zip(*_volumes(trainingjob, settings), strict=True)
    return {
        "name": c.TRAINER_CONTAINER,
        "image": trainingjob.spec.trainer.image or settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": _arguments(trainingjob),
        "env": _environment(trainingjob, settings),
        "resources": _resources(trainingjob, settings),
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": list(mounts),
    }


def _arguments(trainingjob: TrainingJob) -> list[str]:
    spec = trainingjob.spec
    arguments = ["--plugin", spec.plugin, "--parameters", json.dumps(spec.parameters, separators=(",", ":"))]
    for field in URL_FIELDS:
        location = getattr(spec, field)
        if location is not None:
            arguments += [FLAGS[field], f"@{c.URLS_DIR}/{field}" if spec.url_secret_ref else location.url]
    # Kubernetes replaces $(NAME) in arguments by the environment; what a message says must not reach into it.
    return [argument.replace("$", "$$") for argument in [*arguments, "--trainingjob", str(trainingjob.key)]]


def _environment(trainingjob: TrainingJob, settings: TrainerSettings) -> list[Manifest]:
    plain = {
        "TRAININGJOB_UID": trainingjob.metadata.uid,
        "VOTT_WORK_DIR": WORK_DIR,
        "HOME": TEMP_DIR,
        "TMPDIR": TEMP_DIR,
    }
    environment: list[Manifest] = [{"name": name, "value": value} for name, value in plain.items()]
    if store := settings.model_store:
        key = "AZURE_STORAGE_CONNECTION_STRING"
        environment.append({"name": key, "valueFrom": {"secretKeyRef": {"name": store.secret_name, "key": key}}})
        environment.append({"name": "VOTT_MODEL_CONTAINERS", "value": ",".join(store.containers)})
    return environment


def _resources(trainingjob: TrainingJob, settings: TrainerSettings) -> Manifest:
    trainer = trainingjob.spec.trainer
    resources = (trainer.resources or settings.resources).to_api()
    if trainer.gpus:
        resources["limits"] = {**resources.get("limits", {}), trainer.gpu_resource_name: trainer.gpus}
    return resources


def _volumes(trainingjob: TrainingJob, settings: TrainerSettings) -> list[tuple[Manifest, Manifest]]:
    """Each volume with its mount."""
    volumes: list[tuple[Manifest, Manifest]] = [
        ({"name": "work", "emptyDir": {"sizeLimit": settings.work_volume}}, {"name": "work", "mountPath": WORK_DIR}),
        ({"name": "tmp", "emptyDir": {"sizeLimit": settings.work_volume}}, {"name": "tmp", "mountPath": TEMP_DIR}),
        (
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": settings.shared_memory}},
            {"name": "shm", "mountPath": SHARED_MEMORY},
        ),
    ]
    if reference := trainingjob.spec.url_secret_ref:
        secret = {"secretName": reference.name, "defaultMode": 0o440}
        volumes.append(
            ({"name": "urls", "secret": secret}, {"name": "urls", "mountPath": c.URLS_DIR, "readOnly": True})
        )
    return volumes
