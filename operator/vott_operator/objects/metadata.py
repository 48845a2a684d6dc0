"""Metadata of the objects that a TrainingJob owns. Pure."""

from typing import Any

from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.objects import pod

Manifest = dict[str, Any]


def child_metadata(owner: TrainingJob, name: str) -> Manifest:
    """Name, labels and the owner reference of an object that belongs to `owner`."""
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
        "labels": pod.labels(owner),
        "ownerReferences": [reference],
    }
