"""The pods that train: what the operator sets of them, and spec.podTemplate under it. Pure."""

import json
from typing import Any

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.api.urls import weights_url
from vott_operator.objects import pod_volumes
from vott_operator.objects.pod_template_merge import Merger
from vott_operator.settings.pod import PodSettings

Manifest = dict[str, Any]
WORK_DIR = "/work"
TEMP_DIR = "/tmp"  # noqa: S108 # nosec B108 # inside the container, an emptyDir of its own
SHARED_MEMORY = "/dev/shm"  # noqa: S108 # nosec B108 # likewise

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


def template(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    """The PodTemplateSpec. Raises PodTemplateError where spec.podTemplate contradicts what the operator sets."""
    own_labels = labels(trainingjob) | _peer_labels(trainingjob) | pod_volumes.labels(settings.trainer)
    own = {"metadata": {"labels": own_labels}, "spec": _pod_spec(trainingjob, settings)}
    given = trainingjob.spec.pod_template
    return own if given is None else MERGER.merge(own, given.to_api())


def _peer_labels(trainingjob: TrainingJob) -> dict[str, str]:
    nodes = trainingjob.spec.trainer.nodes
    return {c.LABEL_NODES: str(nodes)} if nodes > 1 else {}


def _pod_spec(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    volumes, _ = zip(*_volumes(trainingjob, settings), strict=True)
    spec: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": settings.trainer.service_account_name,
        "automountServiceAccountToken": True,  # the account itself hands its token to nobody
        "terminationGracePeriodSeconds": _grace_seconds(trainingjob, settings),
        "enableServiceLinks": False,
        "nodeSelector": settings.trainer.node_selector,
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


def _grace_seconds(trainingjob: TrainingJob, settings: PodSettings) -> Any:
    """Time from SIGTERM to SIGKILL, as it will be once spec.podTemplate is merged: the trainer is told it."""
    template = trainingjob.spec.pod_template
    given = (template.spec or {}).get("terminationGracePeriodSeconds") if template else None
    return settings.trainer.termination_grace_period_seconds if given is None else given


def _tolerations(trainingjob: TrainingJob, settings: PodSettings) -> list[Manifest]:
    tolerations: list[Manifest] = list(GPU_TOLERATIONS)
    if (gpu := trainingjob.spec.trainer.gpu_resource_name) != NVIDIA_GPU:
        tolerations.append({"key": gpu, "operator": "Exists", "effect": "NoSchedule"})
    if settings.trainer.tolerate_spot:
        tolerations.append(SPOT_TOLERATION)
    return [*tolerations, *settings.trainer.tolerations]


def _container(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    _, mounts = zip(*_volumes(trainingjob, settings), strict=True)
    return {
        "name": c.TRAINER_CONTAINER,
        "image": trainingjob.spec.trainer.image or settings.trainer.image,
        "imagePullPolicy": settings.trainer.image_pull_policy,
        "args": _arguments(trainingjob, settings),
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


def _arguments(trainingjob: TrainingJob, settings: PodSettings) -> list[str]:
    spec = trainingjob.spec
    parameters = dict(spec.parameters)
    arguments = ["--plugin", spec.plugin]
    if spec.url_secret_ref and weights_url(parameters):
        del parameters[c.INITIAL_WEIGHTS]
        arguments += ["--initial-weights", f"@{c.URLS_DIR}/{c.INITIAL_WEIGHTS}"]
    arguments += ["--parameters", json.dumps(parameters, separators=(",", ":"))]
    for name in _url_fields(trainingjob, settings):
        arguments += [FLAGS[name], f"@{c.URLS_DIR}/{name}" if spec.url_secret_ref else getattr(spec, name).url]
    # Kubernetes replaces $(NAME) in arguments by the environment; what a message says must not reach into it.
    return [argument.replace("$", "$$") for argument in [*arguments, "--trainingjob", str(trainingjob.key)]]


def _url_fields(trainingjob: TrainingJob, settings: PodSettings) -> list[str]:
    """The URLs of the spec that the pod is told."""
    hidden = ("callback",) if settings.signed_callbacks else ()
    return [name for name in URL_FIELDS if getattr(trainingjob.spec, name) and name not in hidden]


def _environment(trainingjob: TrainingJob, settings: PodSettings) -> list[Manifest]:
    own = {
        "TRAININGJOB_UID": trainingjob.metadata.uid,
        # Every variable of the rules, set or not: what stands here no podTemplate can set otherwise.
        **settings.rules.to_environment(),
        "VOTT_WORK_DIR": WORK_DIR,
        "VOTT_GRACE_SECONDS": str(_grace_seconds(trainingjob, settings)),
        "HOME": TEMP_DIR,
        "TMPDIR": TEMP_DIR,
    }
    return _plain(own) + pod_volumes.environment(settings.trainer)


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


def _resources(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    trainer = trainingjob.spec.trainer
    resources = (trainer.resources or settings.trainer.resources).to_api()
    if trainer.gpus:
        resources["limits"] = {**resources.get("limits", {}), trainer.gpu_resource_name: trainer.gpus}
    return resources


def _volumes(trainingjob: TrainingJob, settings: PodSettings) -> list[tuple[Manifest, Manifest]]:
    """Each volume with its mount."""
    volumes: list[tuple[Manifest, Manifest]] = [
        (
            {"name": "work", "emptyDir": {"sizeLimit": settings.trainer.work_volume}},
            {"name": "work", "mountPath": WORK_DIR},
        ),
        (
            {"name": "tmp", "emptyDir": {"sizeLimit": settings.trainer.work_volume}},
            {"name": "tmp", "mountPath": TEMP_DIR},
        ),
        (
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": settings.trainer.shared_memory}},
            {"name": "shm", "mountPath": SHARED_MEMORY},
        ),
    ]
    if trainingjob.spec.url_secret_ref:
        secret = _url_secret(trainingjob, settings)
        volumes.append(
            ({"name": "urls", "secret": secret}, {"name": "urls", "mountPath": c.URLS_DIR, "readOnly": True})
        )
    return volumes + pod_volumes.volumes(settings.trainer)


def _url_secret(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    """The Secret with the URLs as a volume, without the keys that are not for the pod."""
    assert trainingjob.spec.url_secret_ref is not None
    secret: Manifest = {"secretName": trainingjob.spec.url_secret_ref.name, "defaultMode": 0o440}
    if settings.signed_callbacks and trainingjob.spec.callback:
        secret["items"] = [{"key": key, "path": key} for key in url_keys(trainingjob, settings)]
    return secret


def url_keys(trainingjob: TrainingJob, settings: PodSettings) -> list[str]:
    """The keys that the pod needs of the Secret with the URLs."""
    weights = [c.INITIAL_WEIGHTS] if weights_url(trainingjob.spec.parameters) else []
    return [*_url_fields(trainingjob, settings), *weights]
