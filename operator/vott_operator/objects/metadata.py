"""Metadata, labels and owner reference of the objects that a TrainingJob owns."""

from typing import Any

from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob

Manifest = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON."""


def labels(owner: TrainingJob) -> dict[str, str]:
    """Labels of every object that the operator creates for a TrainingJob."""
    return {c.LABEL_MANAGED_BY: c.MANAGED_BY, c.LABEL_TRAININGJOB: owner.metadata.name}


NOT_IN_BACKUPS = {c.LABEL_NO_BACKUP: "true"}
"""Label of what the operator creates again from the TrainingJob: not the Secret, which it can't."""


def child_metadata(owner: TrainingJob, name: str) -> Manifest:
    """Name, namespace, labels and owner reference of an object that belongs to `owner`."""
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
        "labels": labels(owner),
        "ownerReferences": [reference],
    }
