"""The base of all errors, and those of settings, messages, queues and callbacks."""


class VottError(Exception):
    """Base of all errors that this project's programs raise on purpose, except the trainer's."""


class SettingsError(VottError):
    """The administrator's settings are unusable; the text names the setting and the remedy."""


class MessageRejectedError(VottError):
    """A queue message can never become a training.

    Attributes:
        reason: one CamelCase word; `str(error)` is a sentence for the sender.
        status_url: the message's callback, if it could be read.
    """

    def __init__(self, reason: str, message: str, status_url: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.status_url = status_url


class CallbackError(VottError):
    """A callback was not delivered.

    Attributes:
        permanent: a retry can't help.
        retry_after: seconds to wait before a retry, if the receiver asked for that.
    """

    def __init__(self, message: str, *, permanent: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class UnansweredError(CallbackError):
    """A receiver did not answer at all, not even with an error: nothing listens, or it hangs."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=False)


class PostponedError(CallbackError):
    """No attempt was made, because earlier ones at the receiver's host were not answered. It does not count as an attempt."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=False)


class SourceUnavailableError(VottError):
    """A queue is unreachable or refused a request; the text names the queue and the cause."""


class LostMessageError(VottError):
    """The lock on a message was lost, so another receiver may have it, or the message is settled."""


class MessageGivenBackError(VottError):
    """The program stops, or can't settle a message now: the queue is to deliver it again, to anyone."""
