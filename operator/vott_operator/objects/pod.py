"""The PodTemplateSpec of a training: what the operator sets, with spec.podTemplate merged under it."""

from typing import Any

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.objects import security_context
from vott_operator.objects.arguments import arguments
from vott_operator.objects.environment import environment
from vott_operator.objects.metadata import NOT_IN_BACKUPS, Manifest, labels
from vott_operator.objects.node_affinity import avoid, unreliable_nodes
from vott_operator.objects.pod_template_rules import MERGER
from vott_operator.objects.tolerations import tolerations
from vott_operator.objects.volumes import mounted_volumes
from vott_operator.settings.pod import PodSettings

DISK = "ephemeral-storage"
WORKLOAD_IDENTITY_LABEL = "azure.workload.identity/use"
"""AKS gives pods with this label an identity (https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html)."""

KEEP_RUNNING = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
"""The autoscalers do not remove a node under a training to save capacity."""


def template(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    """The PodTemplateSpec. Raises PodTemplateError if spec.podTemplate contradicts what the operator sets."""
    metadata = {"labels": _labels(trainingjob, settings), "annotations": KEEP_RUNNING}
    own = {"metadata": metadata, "spec": _pod_spec(trainingjob, settings)}
    custom = trainingjob.spec.pod_template
    return own if custom is None else MERGER.merge(own, custom.to_api())


def _labels(trainingjob: TrainingJob, settings: PodSettings) -> dict[str, str]:
    result = labels(trainingjob) | NOT_IN_BACKUPS
    if trainingjob.spec.trainer.nodes > 1:
        result[c.LABEL_NODES] = str(trainingjob.spec.trainer.nodes)
    if settings.trainer.workload_identity.client_id:
        result[WORKLOAD_IDENTITY_LABEL] = "true"
    return result


def _pod_spec(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    volumes, _ = zip(*mounted_volumes(trainingjob, settings), strict=True)
    trainer = settings.trainer
    spec: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": trainer.service_account_name,
        "automountServiceAccountToken": True,  # the ServiceAccount turns it off
        "terminationGracePeriodSeconds": _grace_seconds(trainingjob, settings),
        "enableServiceLinks": False,
        "nodeSelector": trainer.node_selector,
        "tolerations": tolerations(trainingjob.spec.trainer.gpu_resource_name, trainer),
        "securityContext": security_context.POD,
        "containers": [_container(trainingjob, settings)],
        "volumes": list(volumes),
    }
    if nodes := unreliable_nodes(trainingjob.status.attempts or ()):
        spec["affinity"] = avoid(nodes)
    if trainingjob.spec.trainer.nodes > 1:
        spec["subdomain"] = names.service(trainingjob.metadata.name)
    return spec


def _container(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    _, mounts = zip(*mounted_volumes(trainingjob, settings), strict=True)
    return {
        "name": c.TRAINER_CONTAINER,
        "image": trainingjob.spec.trainer.image or settings.trainer.image,
        "imagePullPolicy": settings.trainer.image_pull_policy,
        "args": arguments(trainingjob, settings),
        "env": environment(trainingjob, settings, _grace_seconds(trainingjob, settings)),
        "resources": _resources(trainingjob, settings),
        "terminationMessagePolicy": "File",
        "securityContext": security_context.CONTAINER,
        "volumeMounts": list(mounts),
    }


def _resources(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    trainer = trainingjob.spec.trainer
    resources = (trainer.resources or settings.trainer.resources).to_api()
    if trainer.gpus:
        resources["limits"] = {**resources.get("limits", {}), trainer.gpu_resource_name: trainer.gpus}
    if settings.trainer.work_request and not _names_disk(resources):
        resources["requests"] = {**resources.get("requests", {}), DISK: settings.trainer.work_request}
    return resources


def _names_disk(resources: Manifest) -> bool:
    return any(DISK in (resources.get(kind) or {}) for kind in ("requests", "limits"))


def _grace_seconds(trainingjob: TrainingJob, settings: PodSettings) -> Any:
    """terminationGracePeriodSeconds as merged with spec.podTemplate: the trainer's environment has it too."""
    custom = trainingjob.spec.pod_template
    seconds = (custom.spec or {}).get("terminationGracePeriodSeconds") if custom else None
    return settings.trainer.termination_grace_period_seconds if seconds is None else seconds
