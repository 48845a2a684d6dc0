"""Derived names and ids, one function each.

A TrainingJob's name is a pure function of queue and message id, so creating it is idempotent: that makes intake safe if the
operator is killed at any point.
"""

import hashlib
from typing import NamedTuple

MAX_NAME_LENGTH = 52
"""Pod names and, with several nodes, host names are the Job's name plus a suffix, and have at most 63 characters (DNS-1123)."""


class Key(NamedTuple):
    """Namespace and name of a TrainingJob."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def trainingjob(queue: str, message_id: str, sequence: str = "") -> str:
    """Name of the TrainingJob for a message; `queue` is the queue's identity, not only its name.

    `sequence` is given for a message whose id another message had before.
    """
    return f"vott-{_digest(queue, message_id, *([sequence] if sequence else []))}"


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
    return f"vott-{_digest(uid, reason, message)}"


def webhook_id(uid: str, state: str) -> str:
    """Standard Webhooks message id of an outcome: the same for every attempt to deliver it."""
    return f"{uid}-{state}"


def report_id(uid: str, report: str) -> str:
    """Standard Webhooks message id of a progress report: the same for the same report."""
    return webhook_id(uid, f"running-{_digest(report)}")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
