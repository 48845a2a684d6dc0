"""Errors for a store that refuses, does not answer or holds something else, with cause and remedy."""

from vott_trainer.errors import TemporaryFailureError, TrainerError, UploadRefusedError
from vott_trainer.http.retry import TRANSIENT_STATUS

UPLOAD = "The upload to"
NEW_LINK = "Make a new link with write permission and send the message again."
ASK_ADMINISTRATOR = "Correct the URL, or ask the administrator to let the trainer's own identity read and write there."

_REASONS = {
    401: "The link's signature is not valid",
    403: "The link has expired or does not permit it",
    404: "The container or bucket does not exist",
    409: "The blob or its container is locked or being deleted",
    412: "The blob is leased by someone else",
}
_UPLOAD_REASONS = {403: "The link has expired, may not write there, or may not replace a blob that exists"}
_OWN_IDENTITY_REASONS = {
    401: "The trainer's own identity is not valid",
    403: "The trainer's own identity has no permission for it",
}
_OTHER_REGION = "The bucket is in another region than AWS_REGION or the URL names"
_REASONS_BY_CODE = {
    "PermanentRedirect": _OTHER_REGION,
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "EntityTooLarge": "The model is larger than a presigned link accepts",
}
_NEW_LINK_TO_READ = "Make a new link with read and write permission and send the message again."


def store_error(action: str, url: str, status: int | None, code: str = "", remedy: str = NEW_LINK) -> TrainerError:
    """Return the error for a store's response.

    Args:
        action: what failed, such as UPLOAD or `Reading`.
        url: URL without query.
        status: HTTP status, None without a response.
        code: the store's error code, such as `AccessDenied`.
        remedy: NEW_LINK for a message's link, ASK_ADMINISTRATOR for the trainer's own identity.
    """
    if status is None or status >= 500 or status in TRANSIENT_STATUS:
        answer = f"HTTP {status}" if status else "no answer"
        return TemporaryFailureError(
            f"{action} {url} failed: {answer}. Check that the store answers, then send the message again."
        )
    reasons = _OWN_IDENTITY_REASONS if remedy != NEW_LINK else _UPLOAD_REASONS if action == UPLOAD else {}
    if remedy == NEW_LINK and action != UPLOAD:
        remedy = _NEW_LINK_TO_READ
    reason = _REASONS_BY_CODE.get(code) or (_REASONS | reasons).get(status, "The store does not accept it")
    return UploadRefusedError(
        f"{action} {url} was refused: HTTP {status}{f' {code}' if code else ''}. {reason}. {remedy}"
    )


def too_large(url: str) -> UploadRefusedError:
    """Return the error for an object or response above the limits, which only a hostile server sends."""
    return UploadRefusedError(
        f"The object or response of {url} is too large. Check the link, then send the message again."
    )


def verification_failed(url: str) -> TemporaryFailureError:
    """Return the error for an object of another size or checksum than the file that was sent."""
    return TemporaryFailureError(
        f"{url} does not hold what was sent. Check that nothing else writes there, then send the message again."
    )
