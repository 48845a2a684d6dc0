"""The pods that train: what the operator sets of them, and spec.podTemplate under it. Pure."""

import json
from typing import Any

from . import constants as c
from . import names, places
from .models import TrainingJob
from .podtemplate import Merger
from .trainer_settings import TrainerSettings, TrainingJobSettings
from .urls import weights_url

Manifest = dict[str, Any]
WORK_DIR = "/work"
TEMP_DIR = "/tmp"  # noqa: S108 - inside the container, an emptyDir of its own
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - likewise

URL_FIELDS = ("annotations", "model", "callback")
FLAGS = {"annotations": "--annotations", "model": "--model", "callback": "--status"}
NVIDIA_GPU = "nvidia.com/gpu"
GPU_TOLERATIONS = (
    {"key": NVIDIA_GPU, "operator": "Exists", "effect": "NoSchedule"},
    {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
)
# https://learn.microsoft.com/azure/aks/spot-node-pool
SPOT_TOLERATION = {
    "key": "kubernetes.azure.com/scalesetpriority",
    "operator": "Equal",
    "value": "spot",
    "effect": "NoSchedule",
}

_TRAINER = f".spec.containers[{c.TRAINER_CONTAINER}]"
REMEDIES = {
    f"{_TRAINER}.image": "use spec.trainer.image",
    f"{_TRAINER}.args": "use spec.plugin and spec.parameters",
    f"{_TRAINER}.resources": "use spec.trainer.resources",
    f"{_TRAINER}.resources.limits": "use spec.trainer.resources, and for GPUs spec.trainer.gpus",
    f"{_TRAINER}.volumeMounts": "mount it elsewhere",
    ".spec.volumes": "give your volume another name",
    ".spec.serviceAccountName": "the chart makes that ServiceAccount, which may only report; leave this out",
}
DEFAULTS = (".spec.nodeSelector", ".spec.terminationGracePeriodSeconds", f"{_TRAINER}.imagePullPolicy")
"""The administrator's defaults, which spec.podTemplate may set otherwise."""
MERGER = Merger(REMEDIES, DEFAULTS)


def labels(owner: TrainingJob) -> dict[str, str]:
    """Labels of everything that the operator makes for a TrainingJob."""
    return {c.LABEL_MANAGED_BY: c.MANAGED_BY, c.LABEL_TRAININGJOB: owner.metadata.name}


def template(trainingjob: TrainingJob, settings: TrainerSettings) -> Manifest:
    """The PodTemplateSpec. Raises PodTemplateError where spec.podTemplate contradicts what the operator sets."""
    own_labels = labels(trainingjob) | places.labels(settings)
    own = {"metadata": {"labels": own_labels}, "spec": _pod_spec(trainingjob, settings)}
    given = trainingjob.spec.pod_template
    return own if given is None else MERGER.merge(own, given.to_api())


def check(defaults: TrainingJobSettings, settings: TrainerSettings) -> None:
    """Raise PodTemplateError if no TrainingJob of these defaults could ever get its pods."""
    nowhere = {"url": "https://host/path"}
    spec = {"annotations": nowhere, "model": nowhere, **defaults.to_spec()}
    template(TrainingJob.model_validate({"metadata": {"name": "any", "namespace": "any"}, "spec": spec}), settings)


def _pod_spec(trainingjob: TrainingJob, settings: TrainerSettings) -> Manifest:
    volumes, _ = zip(*_volumes(trainingjob, settings), strict=True)
    spec: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": settings.service_account_name,
        "terminationGracePeriodSeconds": _grace_seconds(trainingjob, settings),
        "enableServiceLinks": False,
        "nodeSelector": settings.node_selector,
        "tolerations": _tolerations(trainingjob, settings),
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
    if trainingjob.spec.trainer.nodes > 1:
        spec["subdomain"] = names.service(trainingjob.metadata.name)
    return spec


def _grace_seconds(trainingjob: TrainingJob, settings: TrainerSettings) -> Any:
    """Time from SIGTERM to SIGKILL, as it will be once spec.podTemplate is merged: the trainer is told it."""
    template = trainingjob.spec.pod_template
    given = (template.spec or {}).get("terminationGracePeriodSeconds") if template else None
    return settings.termination_grace_period_seconds if given is None else given


def _tolerations(trainingjob: TrainingJob, settings: TrainerSettings) -> list[Manifest]:
    tolerations: list[Manifest] = list(GPU_TOLERATIONS)
    if (gpu := trainingjob.spec.trainer.gpu_resource_name) != NVIDIA_GPU:
        tolerations.append({"key": gpu, "operator": "Exists", "effect": "NoSchedule"})
    if settings.tolerate_spot:
        tolerations.append(SPOT_TOLERATION)
    return [*tolerations, *settings.tolerations]


def _container(trainingjob: TrainingJob, settings: TrainerSettings) -> Manifest:
    _, mounts = zip(*_volumes(trainingjob, settings), strict=True)
    return {
        "name": c.TRAINER_CONTAINER,
        "image": trainingjob.spec.trainer.image or settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": _arguments(trainingjob),
        "env": [*_environment(trainingjob, settings), *_torchrun(trainingjob)],
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
    parameters = dict(spec.parameters)
    arguments = ["--plugin", spec.plugin]
    if spec.url_secret_ref and weights_url(parameters):
        del parameters[c.INITIAL_WEIGHTS]
        arguments += ["--initial-weights", f"@{c.URLS_DIR}/{c.INITIAL_WEIGHTS}"]
    arguments += ["--parameters", json.dumps(parameters, separators=(",", ":"))]
    for field in URL_FIELDS:
        location = getattr(spec, field)
        if location is not None:
            arguments += [FLAGS[field], f"@{c.URLS_DIR}/{field}" if spec.url_secret_ref else location.url]
    # Kubernetes replaces $(NAME) in arguments by the environment; what a message says must not reach into it.
    return [argument.replace("$", "$$") for argument in [*arguments, "--trainingjob", str(trainingjob.key)]]


def _environment(trainingjob: TrainingJob, settings: TrainerSettings) -> list[Manifest]:
    own = {
        "TRAININGJOB_UID": trainingjob.metadata.uid,
        "VOTT_WORK_DIR": WORK_DIR,
        "VOTT_GRACE_SECONDS": str(_grace_seconds(trainingjob, settings)),
        "HOME": TEMP_DIR,
        "TMPDIR": TEMP_DIR,
    }
    return _plain(own) + places.environment(settings)


def _torchrun(trainingjob: TrainingJob) -> list[Manifest]:
    """What torchrun reads in place of its arguments (https://docs.pytorch.org/docs/stable/elastic/run.html)."""
    trainer, name = trainingjob.spec.trainer, trainingjob.metadata.name
    if trainer.nodes == 1 and trainer.gpus <= 1:
        return []
    # With a subdomain, the Job's pods have host names: the Job's own with the index of each.
    first = f"{names.job(name)}-0.{names.service(name)}" if trainer.nodes > 1 else "127.0.0.1"
    rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{c.ANNOTATION_COMPLETION_INDEX}']"}}
    return [
        *_plain({"PET_NNODES": str(trainer.nodes), "PET_NPROC_PER_NODE": str(max(1, trainer.gpus))}),
        {"name": "PET_NODE_RANK", "valueFrom": rank},
        *_plain({"PET_MASTER_ADDR": first, "PET_MASTER_PORT": str(c.RENDEZVOUS_PORT)}),
    ]


def _plain(variables: dict[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in variables.items()]


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
    return volumes + places.volumes(settings)
