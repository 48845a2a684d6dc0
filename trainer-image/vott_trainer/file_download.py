"""Download the annotation file and other single files of a message, within a limit; errors name file and remedy."""

from pathlib import Path

from vott_trainer.errors import AddressRefusedError, TemporaryFailureError, TrainerError
from vott_trainer.http.fetch import FetchError, NotAllowedError, download
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.http.session import Session

MAX_ANNOTATIONS_BYTES = 1 << 30
MAX_FILE_BYTES = 8 << 30
SECONDS = 3600.0  # for a file


def download_file(url: str, path: Path, description: str, limit: int, refused: type[TrainerError]) -> None:
    """Download one file.

    Args:
        url: its URL.
        path: where to write it.
        description: its name in errors, without the URL's query.
        limit: the most bytes accepted.
        refused: what to raise if the store refuses.

    Raises:
        AddressRefusedError: the administrator's rules forbid the address.
        TemporaryFailureError: the store did not answer after all attempts.
    """
    try:
        with Session(SECONDS) as session:
            download(session, url, path, limit=limit, policy=RetryPolicy())
    except NotAllowedError as error:
        raise AddressRefusedError(f"{description} can't be fetched: {error}") from error
    except FetchError as error:
        text = f"{description} can't be fetched: {error}."
        if error.transient:
            raise TemporaryFailureError(f"{text} Check that the store answers, then send the message again.") from error
        raise refused(
            f"{text} Check that the link is right, has not expired and permits reading, then send the message again."
        ) from error
