"""Names and ids that are derived, one function each.

A training's name is a pure function of queue and message id, so that a message that is delivered again finds its training.
"""

import hashlib


def training(queue: str, message_id: str, sequence: str = "") -> str:
    """Name of the training of a message, in Kubernetes that of its TrainingJob; `queue` is the queue's identity, not only its name.

    `sequence` is given for a message whose id another message had before.
    """
    return f"vott-{short_digest(queue, message_id, *([sequence] if sequence else []))}"


def webhook_id(uid: str, state: str) -> str:
    """Standard Webhooks message id of an outcome: the same for every attempt to deliver it."""
    return f"{uid}-{state}"


def report_id(uid: str, report: str) -> str:
    """Standard Webhooks message id of a progress report: the same for the same report."""
    return webhook_id(uid, f"running-{short_digest(report)}")


def short_digest(*parts: str) -> str:
    """The first 20 hexadecimal digits of the SHA-256 of `parts`, which are kept apart."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
