"""From a TrainingJob to the objects it needs: the Job, with several nodes a Service, and the Secret with its URLs. Pure."""

from collections.abc import Mapping
from typing import Any

from . import constants as c
from . import names, pods
from .message import TrainMessage
from .models import TrainingJob
from .trainer_settings import TrainingJobSettings
from .urls import has_credentials, weights_url, without_credentials

Manifest = dict[str, Any]
NO_DEFAULTS = TrainingJobSettings()

DISRUPTED = {"onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
"""Eviction, drain, preemption or a lost node."""


def trainingjob_manifest(
    message: TrainMessage,
    *,
    name: str,
    namespace: str,
    plugin: str,
    annotations: dict[str, str],
    ttl_seconds: int | None = None,
    defaults: TrainingJobSettings = NO_DEFAULTS,
) -> Manifest:
    """The TrainingJob for a message. URLs go in without their credentials; `url_secret` holds the full ones."""
    spec: Manifest = {**defaults.to_spec(), "plugin": plugin, "parameters": _shown(message.parameters)}
    spec |= {field: {"url": without_credentials(url)} for field, url in _locations(message).items()}
    if _needs_secret(message):
        spec["urlSecretRef"] = {"name": names.url_secret(name)}
    if ttl_seconds is not None:
        spec["ttlSecondsAfterFinished"] = ttl_seconds
    metadata: Manifest = {
        "name": name,
        "namespace": namespace,
        "labels": {**defaults.labels, c.LABEL_MANAGED_BY: c.MANAGED_BY},
        "annotations": annotations,
    }
    if message.status:
        metadata["finalizers"] = [c.FINALIZER]
    return {"apiVersion": c.API_VERSION, "kind": c.KIND, "metadata": metadata, "spec": spec}


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


def _locations(message: TrainMessage) -> dict[str, str]:
    """The URLs that are fields of the spec."""
    urls = {"annotations": message.annotations, "model": message.model, "callback": message.status}
    return {field: url for field, url in urls.items() if url}


def _urls(message: TrainMessage) -> dict[str, str]:
    """All URLs, by their keys in the Secret."""
    weights = weights_url(message.parameters)
    return _locations(message) | ({c.INITIAL_WEIGHTS: weights} if weights else {})


def _shown(parameters: Mapping[str, Any]) -> Manifest:
    """The parameters without a credential."""
    weights = weights_url(parameters)
    return {**parameters, **({c.INITIAL_WEIGHTS: without_credentials(weights)} if weights else {})}


def _needs_secret(message: TrainMessage) -> bool:
    return any(has_credentials(url) for url in _urls(message).values())


def service(trainingjob: TrainingJob) -> Manifest | None:
    """The headless Service that gives the pods of several nodes host names; None for one node."""
    if trainingjob.spec.trainer.nodes == 1:
        return None
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _child_metadata(trainingjob, names.service(trainingjob.metadata.name)),
        "spec": {
            "clusterIP": "None",
            # The pods look for each other before any of them is ready.
            "publishNotReadyAddresses": True,
            "selector": {c.LABEL_TRAININGJOB: trainingjob.metadata.name},
            "ports": [{"name": "rendezvous", "port": c.RENDEZVOUS_PORT}],
        },
    }


def job(trainingjob: TrainingJob, settings: pods.PodSettings) -> Manifest:
    """The batch/v1 Job that trains. Raises PodTemplateError where spec.podTemplate contradicts what the operator sets."""
    spec = trainingjob.spec
    nodes = spec.trainer.nodes
    job_spec: Manifest = {
        # Indexed, so that a pod's name says exactly whose and which it is.
        "completionMode": "Indexed",
        "completions": nodes,
        "parallelism": nodes,
        "suspend": spec.suspend,
        **(_retried_by_the_job(spec.backoff_limit) if nodes == 1 else _failing_together()),
        "template": pods.template(trainingjob, settings),
    }
    if spec.active_deadline_seconds is not None:
        job_spec["activeDeadlineSeconds"] = spec.active_deadline_seconds
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _job_metadata(trainingjob), "spec": job_spec}


def _job_metadata(trainingjob: TrainingJob) -> Manifest:
    metadata = _child_metadata(trainingjob, names.job(trainingjob.metadata.name))
    own = trainingjob.metadata.labels
    metadata["labels"] |= {key: value for key, value in own.items() if key.startswith(c.KUEUE_PREFIX)}
    if trainingjob.spec.trainer.nodes > 1:
        # So that a failure is counted once, however often it is seen.
        metadata["annotations"] = {c.ANNOTATION_FAILURES: str(trainingjob.status.failures or 0)}
    return metadata


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
        "labels": pods.labels(owner),
        "ownerReferences": [reference],
    }


def _retried_by_the_job(backoff_limit: int) -> Manifest:
    """One pod: the Job replaces it. What is not the training's fault does not count."""
    rules = [
        {"action": "Ignore", **DISRUPTED},
        {"action": "Ignore", **_exited(c.EXIT_CODE_SIGTERM)},
        {"action": "FailJob", **_exited(*c.EXIT_CODES_PERMANENT)},
    ]
    return {"backoffLimit": backoff_limit, "podFailurePolicy": {"rules": rules}}


def _failing_together() -> Manifest:
    """Several pods: one's failure ends them all, for the others can't go on without it. The operator makes the next Job.

    The Job's condition tells by the rule's number what kind of failure it was, so their order matters. What SIGTERM ended does not fail
    the Job, or it could not be suspended; where only one pod was stopped, the others soon fail for missing it.
    """
    rules = [
        {"action": "FailJob", **DISRUPTED},
        {"action": "Ignore", **_exited(c.EXIT_CODE_SIGTERM)},
        {"action": "FailJob", **_exited(*c.EXIT_CODES_PERMANENT)},
    ]
    # The first pod uploads and reports; one of the others that is lost after that must not undo it.
    success = {"rules": [{"succeededIndexes": "0"}]}
    return {"backoffLimit": 0, "podFailurePolicy": {"rules": rules}, "successPolicy": success}


def _exited(*codes: int) -> Manifest:
    values = {"containerName": c.TRAINER_CONTAINER, "operator": "In", "values": list(codes)}
    return {"onExitCodes": values}
