"""All exceptions of the operator, in one hierarchy. Only `handlers.py` and `cli.py` convert them."""


class VottOperatorError(Exception):
    """Base of all errors that this package raises on purpose."""


class SettingsError(VottOperatorError):
    """The administrator's settings are unusable; the text names the setting and the remedy."""


class MessageRejectedError(VottOperatorError):
    """A queue message can never become a TrainingJob.

    Attributes:
        reason: one CamelCase word; `str(error)` is a sentence for the sender.
        status_url: the message's callback, if it could be read.
    """

    def __init__(self, reason: str, message: str, status_url: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.status_url = status_url


class PodTemplateError(VottOperatorError):
    """spec.podTemplate contradicts a pod field that the operator sets; the text names the path and the remedy."""


class ClusterError(VottOperatorError):
    """The Kubernetes API refused or failed a request.

    Attributes:
        status: the HTTP status; 0 without a response.
        answer: the API server's own message.
    """

    def __init__(self, message: str, status: int = 0, answer: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer or message


class AlreadyExistsError(ClusterError):
    """409 on create: an object of this name exists."""


class NotFoundError(ClusterError):
    """404: the object or its namespace does not exist, or no longer."""


class ConflictError(ClusterError):
    """The object changed since it was read."""


class InvalidObjectError(ClusterError):
    """400 or 422: the API server will never accept this object."""


class CallbackError(VottOperatorError):
    """A callback was not delivered.

    Attributes:
        permanent: a retry can't help.
        retry_after: seconds to wait before a retry, if the receiver asked for that.
    """

    def __init__(self, message: str, *, permanent: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class SourceUnavailableError(VottOperatorError):
    """A queue is unreachable or refused a request; the text names the queue and the cause."""


class LeadershipLostError(VottOperatorError):
    """This operator could not renew the Lease in time."""


class LostMessageError(VottOperatorError):
    """The lock on a message was lost, so another receiver may have it, or the message is settled."""
