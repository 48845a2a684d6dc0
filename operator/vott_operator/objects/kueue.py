"""Kueue (https://kueue.sigs.k8s.io): the labels by which it admits a TrainingJob's Job."""

from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob


def local_queue(trainingjob: TrainingJob) -> str | None:
    """Name of the LocalQueue in the TrainingJob's label; None if Kueue does not manage it."""
    return trainingjob.metadata.labels.get(c.KUEUE_QUEUE_LABEL)


def is_managed(trainingjob: TrainingJob) -> bool:
    """Whether Kueue suspends and resumes the Job, so that the operator must not."""
    return local_queue(trainingjob) is not None


def job_labels(trainingjob: TrainingJob) -> dict[str, str]:
    """Kueue's labels of the TrainingJob, which its Job gets too."""
    return {key: value for key, value in trainingjob.metadata.labels.items() if key.startswith(c.KUEUE_PREFIX)}
