"""What is said of a store that refuses or does not answer."""

import mimetypes

from vott_trainer.errors import TemporaryFailureError, TrainerError, UploadRefusedError
from vott_trainer.http.retry import PASSING_STATUS

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
_OTHER_REGION = "The bucket lies in another region than AWS_REGION or the URL says"
_CODES = {
    "PermanentRedirect": _OTHER_REGION,
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "EntityTooLarge": "The model is larger than a link takes",
}
_NEW_LINK_TO_READ = "Make a new link with read and write permission and send the message again."
_LINK_UPLOAD = {403: "The link has expired, may not write there, or may not replace a blob that exists"}
_OWN_IDENTITY = {
    401: "The trainer's own identity is not valid",
    403: "The trainer's own identity has no permission for it",
}


def explained(doing: str, shown: str, status: int | None, code: str = "", remedy: str = NEW_LINK) -> TrainerError:
    """Return the error to raise for a store's answer; `status` is None where there was no answer.

    `doing` is what was refused, such as UPLOAD; `code` the store's own word for why; `remedy` tells links from own identities.
    """
    if status is None or status >= 500 or status in PASSING_STATUS:
        answer = f"HTTP {status}" if status else "no answer"
        return TemporaryFailureError(
            f"{doing} {shown} failed: {answer}. Check that the store answers, then send the message again."
        )
    special = _OWN_IDENTITY if remedy != NEW_LINK else _LINK_UPLOAD if doing == UPLOAD else {}
    if remedy == NEW_LINK and doing != UPLOAD:
        remedy = _NEW_LINK_TO_READ
    why = _CODES.get(code) or (_REASONS | special).get(status, "The store does not accept it")
    return UploadRefusedError(
        f"{doing} {shown} was refused: HTTP {status}{f' {code}' if code else ''}. {why}. {remedy}"
    )


def too_large(shown: str) -> UploadRefusedError:
    """Return the error for an answer that nobody who means well would give."""
    return UploadRefusedError(
        f"What {shown} holds or answers is too large. Check the link, then send the message again."
    )


def not_what_was_sent(shown: str) -> TemporaryFailureError:
    """Return the error for an object whose size or checksum is not that of what was sent."""
    return TemporaryFailureError(
        f"{shown} does not hold what was sent. Check that nothing else writes there, then send the message again."
    )


def content_type(name: str) -> str:
    """Return the media type for a file name; a browser shall show a report, not download it."""
    if name.endswith((".tgz", ".tar.gz")):
        return "application/gzip"
    if name.endswith(".md"):
        return "text/markdown; charset=utf-8"
    found, _ = mimetypes.guess_type(name)
    return f"{found}; charset=utf-8" if found and found.startswith("text/") else found or "application/octet-stream"
