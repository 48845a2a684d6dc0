"""Names of the objects that belong to a TrainingJob, derived from its own, one function each.

Its own is a pure function of queue and message id (`vott_messaging.names`), so creating it is idempotent: that makes intake safe if the
operator is killed at any point.
"""

from typing import NamedTuple

from vott_messaging.names import short_digest

MAX_NAME_LENGTH = 52
"""Pod names and, with several nodes, host names are the Job's name plus a suffix, and have at most 63 characters (DNS-1123)."""


class Key(NamedTuple):
    """Namespace and name of a TrainingJob."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def job(trainingjob_name: str) -> str:
    """Name of the batch/v1 Job: the TrainingJob's name, so that a pod's owner can be compared exactly."""
    return trainingjob_name


def service(trainingjob_name: str) -> str:
    """Name of the headless Service by which several nodes find the first one."""
    return trainingjob_name


def url_secret(trainingjob_name: str) -> str:
    """Name of the Secret with the full URLs."""
    return f"{trainingjob_name}-urls"


def event(uid: str, reason: str, message: str) -> str:
    """Name of a core/v1 Event: the same event gets the same name, so it is recorded once."""
    return f"vott-{short_digest(uid, reason, message)}"
