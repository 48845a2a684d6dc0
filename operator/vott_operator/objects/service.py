"""The headless Service by which the pods of several nodes find each other."""

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.objects.metadata import NOT_IN_BACKUPS, Manifest, child_metadata

RENDEZVOUS_PORT = 29500
"""PyTorch's default."""


def service_manifest(trainingjob: TrainingJob) -> Manifest | None:
    """The headless Service that gives the pods host names; None for one node."""
    if trainingjob.spec.trainer.nodes == 1:
        return None
    metadata = child_metadata(trainingjob, names.service(trainingjob.metadata.name))
    metadata["labels"] |= NOT_IN_BACKUPS
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "clusterIP": "None",
            # The pods look for each other before any of them is ready.
            "publishNotReadyAddresses": True,
            "selector": {c.LABEL_TRAININGJOB: trainingjob.metadata.name},
            "ports": [{"name": "rendezvous", "port": RENDEZVOUS_PORT}],
        },
    }
