"""Security contexts of the trainer's pod and container: the restricted Pod Security Standard, and a read-only root."""

from typing import Final

from vott_operator.api import constants as c

POD: Final = {
    "runAsNonRoot": True,
    "runAsUser": c.TRAINER_UID,
    "runAsGroup": c.TRAINER_UID,
    "fsGroup": c.TRAINER_UID,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
