"""The errors of the operator alone: of the cluster, the leader election and podTemplate. Only `handlers.py` and `cli.py` convert them."""

from vott_messaging.errors import VottError


class PodTemplateError(VottError):
    """spec.podTemplate contradicts a pod field that the operator sets; the text names the path and the remedy."""


class ClusterError(VottError):
    """The Kubernetes API refused or failed a request.

    Attributes:
        status: the HTTP status; 0 without a response.
        answer: the API server's own message.
    """

    def __init__(self, message: str, status: int = 0, answer: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer or message

    @property
    def is_refusal(self) -> bool:
        """Whether the operator lacks a permission, or the namespace is gone: 403 or 404."""
        return self.status in (403, 404)


class UnavailableError(ClusterError):
    """The API server did not answer, has no capacity (429) or failed (5xx): whatever the request, it will fail for now."""


class AlreadyExistsError(ClusterError):
    """409 on create: an object of this name exists."""


class NotFoundError(ClusterError):
    """404: the object or its namespace does not exist, or no longer."""


class ConflictError(ClusterError):
    """The object changed since it was read."""


class InvalidObjectError(ClusterError):
    """400 or 422: the API server will never accept this object."""


class LeadershipLostError(VottError):
    """This operator could not renew the Lease in time."""
