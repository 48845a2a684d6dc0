"""The batch/v1 Job of a TrainingJob, and with several nodes its headless Service. Pure."""

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.objects import pod
from vott_operator.objects.metadata import Manifest, child_metadata
from vott_operator.settings.pod import PodSettings

DISRUPTED = {"onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
"""Eviction, drain, preemption or a lost node."""


def service_manifest(trainingjob: TrainingJob) -> Manifest | None:
    """The headless Service that gives the pods of several nodes host names; None for one node."""
    if trainingjob.spec.trainer.nodes == 1:
        return None
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(trainingjob, names.service(trainingjob.metadata.name)),
        "spec": {
            "clusterIP": "None",
            # The pods look for each other before any of them is ready.
            "publishNotReadyAddresses": True,
            "selector": {c.LABEL_TRAININGJOB: trainingjob.metadata.name},
            "ports": [{"name": "rendezvous", "port": c.RENDEZVOUS_PORT}],
        },
    }


def job_manifest(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
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
        "template": pod.template(trainingjob, settings),
    }
    if spec.active_deadline_seconds is not None:
        job_spec["activeDeadlineSeconds"] = spec.active_deadline_seconds
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _job_metadata(trainingjob), "spec": job_spec}


def _job_metadata(trainingjob: TrainingJob) -> Manifest:
    metadata = child_metadata(trainingjob, names.job(trainingjob.metadata.name))
    own = trainingjob.metadata.labels
    metadata["labels"] |= {key: value for key, value in own.items() if key.startswith(c.KUEUE_PREFIX)}
    if trainingjob.spec.trainer.nodes > 1:
        # So that a failure is counted once, however often it is seen.
        metadata["annotations"] = {c.ANNOTATION_FAILURES: str(trainingjob.status.failures or 0)}
    return metadata


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
