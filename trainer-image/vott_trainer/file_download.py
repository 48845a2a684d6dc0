"""Download the annotation file and other single files of a message, within a limit; errors name file and remedy."""

from collections.abc import Sequence
from pathlib import Path

from vott_trainer.errors import AddressRefusedError, TemporaryFailureError, TrainerError
from vott_trainer.http.fetch import FetchError, NotAllowedError, OwnIdentityError, download, first_usable
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.http.session import Session
from vott_trainer.http.signing import Signer
from vott_trainer.http.urls import is_unsigned_at_store

MAX_ANNOTATIONS_BYTES = 8 << 30  # an archive with images; annotations alone may be less (annotations/limits.py)
MAX_FILE_BYTES = 8 << 30
SECONDS = 3600.0  # for a file
_CHECK_LINK = "Check that the link is right, has not expired and permits reading"
_SEND_LINK = (
    "Send a link with a SAS or signature, or ask the administrator to list its container or bucket in trainer.dataStore"
)
_ASK = "Check the URL, or ask the administrator to let the trainer's own identity read there"


def download_file(
    url: str,
    path: Path,
    description: str,
    limit: int,
    refused: type[TrainerError],
    *,
    others: Sequence[str] = (),
    signer: Signer | None = None,
) -> None:
    """Download one file.

    Args:
        url: its URL.
        path: where to write it.
        description: its name in errors, without the URL's query.
        limit: the most bytes accepted.
        refused: what to raise if the store refuses.
        others: URLs to try after `url`.
        signer: signs a request to the administrator's own store.

    Raises:
        AddressRefusedError: the administrator's rules forbid the address.
        TemporaryFailureError: the store did not answer after all attempts.
    """
    try:
        with Session(SECONDS, signer=signer) as session:
            first_usable([url, *others], lambda one: download(session, one, path, limit=limit, policy=RetryPolicy()))
    except NotAllowedError as error:
        raise AddressRefusedError(f"{description} can't be fetched: {error}") from error
    except FetchError as error:
        text = f"{description} can't be fetched: {error}."
        if error.transient:
            raise TemporaryFailureError(f"{text} Check that the store answers, then send the message again.") from error
        remedy = _SEND_LINK if signer and is_unsigned_at_store(url) else _CHECK_LINK
        if isinstance(error, OwnIdentityError):
            remedy = _ASK
        raise refused(f"{text} {remedy}, then send the message again.") from error
