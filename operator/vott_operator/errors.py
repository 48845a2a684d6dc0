"""Every exception of the operator, as one tree. Only `handlers.py` and `cli.py` turn them into something else."""


class VottOperatorError(Exception):
    """Base of all errors that this package raises on purpose."""


class SettingsError(VottOperatorError):
    """The administrator's settings can't be used; the text names the setting and the remedy."""


class MessageRejectedError(VottOperatorError):
    """A queue message can never become a TrainingJob.

    `reason` is one CamelCase word, `str(error)` a sentence for the person who sent it, and `status_url` the callback
    that the message named, when one could be read.
    """

    def __init__(self, reason: str, message: str, status_url: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.status_url = status_url


class PodTemplateError(VottOperatorError):
    """spec.podTemplate contradicts what the operator sets of a pod; the text names the path and the remedy."""


class ClusterError(VottOperatorError):
    """The Kubernetes API refused or failed a request.

    `status` is the HTTP status, 0 when none came; `answer` is what the API itself said.
    """

    def __init__(self, message: str, status: int = 0, answer: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer or message


class AlreadyExistsError(ClusterError):
    """409 on create: an object of that name is there already."""


class NotFoundError(ClusterError):
    """404: the object, or its namespace, is not there (any more)."""


class ConflictError(ClusterError):
    """An object is not as it was read: it was changed meanwhile."""


class InvalidObjectError(ClusterError):
    """400 or 422: the API server will never accept this object."""


class CallbackError(VottOperatorError):
    """A callback was not delivered. `permanent` says that trying again can't help."""

    def __init__(self, message: str, *, permanent: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class SourceUnavailableError(VottOperatorError):
    """A queue can't be reached or refused a call; the text names the queue and the cause."""


class LeadershipLostError(VottOperatorError):
    """This operator held the Lease and holds it no longer."""


class LostMessageError(VottOperatorError):
    """A message is no longer in our hand: its lock ended and somebody else may have it, or it is settled."""
