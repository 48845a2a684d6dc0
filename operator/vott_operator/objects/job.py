"""The batch/v1 Job of a TrainingJob."""

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.objects import kueue, pod, pod_failure_policy
from vott_operator.objects.metadata import NOT_IN_BACKUPS, Manifest, child_metadata
from vott_operator.objects.node_affinity import unreliable_nodes
from vott_operator.settings.pod import PodSettings


def job_manifest(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    """The batch/v1 Job that trains. Raises PodTemplateError if spec.podTemplate contradicts what the operator sets."""
    spec = trainingjob.spec
    nodes = spec.trainer.nodes
    job_spec: Manifest = {
        # Indexed, so that each pod knows its rank and its name shows the Job.
        "completionMode": "Indexed",
        "completions": nodes,
        "parallelism": nodes,
        "suspend": spec.suspend,
        **(
            pod_failure_policy.for_one_node(max(0, spec.backoff_limit - (trainingjob.status.failures or 0)))
            if nodes == 1
            else pod_failure_policy.for_several_nodes()
        ),
        "template": pod.template(trainingjob, settings),
    }
    if spec.active_deadline_seconds is not None:
        job_spec["activeDeadlineSeconds"] = spec.active_deadline_seconds
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _metadata(trainingjob), "spec": job_spec}


def _metadata(trainingjob: TrainingJob) -> Manifest:
    metadata = child_metadata(trainingjob, names.job(trainingjob.metadata.name))
    metadata["labels"] |= NOT_IN_BACKUPS | kueue.job_labels(trainingjob)
    # So that a failure is counted once, however often the operator observes it.
    metadata["annotations"] = {c.ANNOTATION_FAILURES: str(trainingjob.status.failures or 0)}
    if nodes := unreliable_nodes(trainingjob.status.attempts or ()):
        metadata["annotations"][c.ANNOTATION_AVOIDED_NODES] = ",".join(nodes)
    return metadata
