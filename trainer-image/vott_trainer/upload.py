"""The model's way into an Azure container: uploaded, then verified, and each refusal in words."""

import logging
from pathlib import Path

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.storage.blob import BlobClient, ContentSettings

from vott_trainer.archive import digests
from vott_trainer.errors import TemporaryFailureError, TrainerError, UploadRefusedError
from vott_trainer.progress import UploadedModel
from vott_trainer.retry import PASSING_STATUS
from vott_trainer.urls import redact_url

log = logging.getLogger(__name__)

REMEDIES = {
    401: "The link's signature is not valid",
    403: "The link has expired, may not write there, or may not replace a blob that exists",
    404: "The container does not exist",
    409: "The blob or its container is locked or being deleted",
    412: "The blob is leased by someone else",
}


def upload(archive: Path, blob: BlobClient) -> UploadedModel:
    """Upload a file and verify that the store holds exactly its bytes.

    Raises:
        UploadRefusedError: the store refused it.
        TemporaryFailureError: the store can't be reached, or what it holds is not what was sent.
    """
    shown, size = redact_url(blob.url), archive.stat().st_size
    sha256, md5 = digests(archive)
    try:
        _send(archive, blob, md5)
        _verify(blob, size, md5)
    except AzureError as error:
        raise _explain(error, shown) from error
    return UploadedModel(shown, sha256, size)


def _send(archive: Path, blob: BlobClient, md5: bytes) -> None:
    settings = ContentSettings(content_type="application/gzip", content_md5=bytearray(md5))
    with archive.open("rb") as file:
        # validate_content: the store compares the MD5 of each request's body, which is proof enough for a write-only link.
        blob.upload_blob(file, overwrite=True, validate_content=True, content_settings=settings, max_concurrency=4)


def _verify(blob: BlobClient, size: int, md5: bytes) -> None:
    try:
        stored = blob.get_blob_properties()
    except HttpResponseError as error:
        if isinstance(error, ClientAuthenticationError) or error.status_code in (401, 403):
            log.info("the link may not read; the store itself compared the checksum of what was sent")
            return
        raise
    if stored.size != size or bytes(stored.content_settings.content_md5 or md5) != md5:
        raise TemporaryFailureError(
            f"{redact_url(blob.url)} holds {stored.size} bytes, not the {size} sent. "
            "Check that nothing else writes there, then send the message again."
        )


def _explain(error: AzureError, shown: str) -> TrainerError:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status is None or status >= 500 or status in PASSING_STATUS:
        answer = f"HTTP {status}" if status else "no answer"
        return TemporaryFailureError(
            f"The model could not be uploaded to {shown}: {answer}. "
            "Check that the store answers, then send the message again."
        )
    code = getattr(error, "error_code", None)
    why = REMEDIES.get(status, "The store does not accept it")
    return UploadRefusedError(
        f"The upload to {shown} was refused: HTTP {status}{f' {code}' if code else ''}. {why}. "
        "Make a new link with write permission and send the message again."
    )
