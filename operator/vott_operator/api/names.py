"""Every derived name and key, one function each.

A TrainingJob's name is a pure function of queue and message id: creating it twice is the same as creating it once, and
that is what makes intake safe at any kill (design decision 1).
"""

import hashlib
from typing import NamedTuple

MAX_NAME_LENGTH = 52
"""A Job's pods and, with several nodes, its host names are the Job's name plus a suffix within 63 characters (DNS-1123)."""


class Key(NamedTuple):
    """Namespace and name of a TrainingJob."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def trainingjob(queue: str, message_id: str) -> str:
    """Name of the TrainingJob for one message of one queue (`queue` is the queue's identity, not only its short name)."""
    return f"vott-{_digest(queue, message_id)}"


def job(trainingjob_name: str) -> str:
    """Name of the batch/v1 Job: the TrainingJob's own, so that a pod's identity can be compared exactly."""
    return trainingjob_name


def service(trainingjob_name: str) -> str:
    """Name of the headless Service under which several nodes find the first one."""
    return trainingjob_name


def url_secret(trainingjob_name: str) -> str:
    """Name of the Secret that holds the URLs with credentials."""
    return f"{trainingjob_name}-urls"


def event(uid: str, reason: str, message: str) -> str:
    """Name of a core/v1 Event. The same happening gives the same name, so it is recorded once."""
    return f"vott-{_digest(uid, reason, message)}"


def webhook_id(uid: str, state: str) -> str:
    """Standard Webhooks message id: the same for every attempt to deliver one callback."""
    return f"{uid}-{state}"


def report_id(uid: str, report: str) -> str:
    """Standard Webhooks message id of one report of a running training: the same for the same report."""
    return webhook_id(uid, f"running-{_digest(report)}")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
