"""Blobs in an Azure container."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobServiceClient, ContentSettings, ExponentialRetry

from vott_guard.client import TooLargeError
from vott_guard.redaction import redact_url
from vott_trainer.errors import InvalidParametersError, InvalidURLError
from vott_trainer.http.outgoing import refusal_of
from vott_trainer.stores.archive import digests
from vott_trainer.stores.azure_transport import guarded_transport
from vott_trainer.stores.base import LARGEST, StoredObject, checked_name, written_whole
from vott_trainer.stores.messages import NEW_LINK, UPLOAD, content_type, explained, not_what_was_sent, too_large

log = logging.getLogger(__name__)

CONCURRENCY = 4  # requests at once for one blob


@dataclass(frozen=True)
class AzureStore:
    """A container with a prefix; `blob` returns the client for a name below it. `remedy` is what to do when it refuses."""

    shown: str
    blob: Callable[[str], BlobClient] = field(repr=False)
    remedy: str = NEW_LINK

    def url_of(self, name: str) -> str:
        """Return where the blob of that name lies."""
        return redact_url(self.blob(name).url)

    def put(self, file: Path, name: str) -> StoredObject:
        """Upload a file and verify that the store holds exactly its bytes."""
        blob, size = self.blob(name), file.stat().st_size
        url = redact_url(blob.url)
        sha256, md5 = digests(file)
        with self._in_words(UPLOAD, url):
            _send(file, blob, md5)
            _verify(blob, url, size, md5)
        return StoredObject(url, sha256, size)

    def get(self, name: str, file: Path) -> bool:
        """Download a blob; False where there is none."""
        blob = self.blob(name)
        with self._in_words("Reading", redact_url(blob.url)):
            try:
                with written_whole(file) as target:
                    found = blob.download_blob(validate_content=True, max_concurrency=CONCURRENCY)
                    if found.size > LARGEST:
                        raise TooLargeError
                    found.readinto(target)
            except ResourceNotFoundError:
                return False
        return True

    def version(self, name: str) -> str | None:
        """Return the ETag of a blob, which each write changes; None where there is no blob."""
        blob = self.blob(name)
        with self._in_words("Reading", redact_url(blob.url)):
            try:
                return str(blob.get_blob_properties().etag or "")
            except ResourceNotFoundError:
                return None

    def delete(self, name: str) -> None:
        """Delete a blob, if it is there."""
        blob = self.blob(name)
        with self._in_words("Deleting", redact_url(blob.url)), contextlib.suppress(ResourceNotFoundError):
            blob.delete_blob()

    @contextlib.contextmanager
    def _in_words(self, doing: str, shown: str) -> Iterator[None]:
        try:
            with refusal_of(f"{doing} {shown} is not allowed"):
                yield
        except TooLargeError as error:
            raise too_large(shown) from error
        except AzureError as error:
            status = error.status_code if isinstance(error, HttpResponseError) else None
            raise explained(doing, shown, status, getattr(error, "error_code", None) or "", self.remedy) from error


def by_link(base: str, query: str) -> AzureStore:
    """Return the store below a URL (without query) that a message names with its SAS: anybody's, held to the administrator's rules."""
    return below_url(base, query, transport=guarded_transport())


def below_url(
    base: str, query: str = "", credential: Any = None, remedy: str = NEW_LINK, **transport: Any
) -> AzureStore:
    """Return the store below a URL (without query, percent-encoded), opened by a SAS or an Azure credential."""

    def blob(name: str) -> BlobClient:
        url = f"{base}/{quote(checked_name(name))}"
        try:
            return BlobClient.from_blob_url(f"{url}?{query}", credential=credential, **_options(), **transport)
        except ValueError as error:
            raise InvalidURLError(
                f"--model: {redact_url(url)} names no container. Use https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS."
            ) from error

    return AzureStore(redact_url(base), blob, remedy)


def in_account(account: BlobServiceClient, container: str, prefix: str, remedy: str) -> AzureStore:
    """Return the store below a prefix (may be empty) of an account's container."""
    start = f"{prefix}/" if prefix else ""

    def blob(name: str) -> BlobClient:
        return account.get_blob_client(container, f"{start}{checked_name(name)}")

    return AzureStore(
        f"{redact_url(account.url).rstrip('/')}/{quote(f'{container}/{prefix}'.rstrip('/'))}", blob, remedy
    )


def account_of(connection_string: str) -> BlobServiceClient:
    """Return the account of a connection string.

    Raises:
        InvalidParametersError: it is none.
    """
    try:
        return BlobServiceClient.from_connection_string(connection_string, **_options())
    except ValueError as error:  # its text may hold parts of the key
        raise InvalidParametersError("AZURE_STORAGE_CONNECTION_STRING is not a storage connection string.") from error


def _options() -> dict[str, Any]:
    """Return what holds for every client: half a minute of retries in all, and no redirects, which would be signed for, too."""
    retries = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=5)
    return {"retry_policy": retries, "permit_redirects": False}


def _send(file: Path, blob: BlobClient, md5: bytes) -> None:
    settings = ContentSettings(content_type=content_type(str(blob.blob_name)), content_md5=bytearray(md5))
    with file.open("rb") as opened:
        # validate_content: the store compares the MD5 of each request's body, which is proof enough for a write-only link.
        blob.upload_blob(
            opened, overwrite=True, validate_content=True, content_settings=settings, max_concurrency=CONCURRENCY
        )


def _verify(blob: BlobClient, shown: str, size: int, md5: bytes) -> None:
    try:
        stored = blob.get_blob_properties()
    except HttpResponseError as error:
        if isinstance(error, ClientAuthenticationError) or error.status_code in (401, 403):
            log.info("the link may not read; the store itself compared the checksum of what was sent")
            return
        raise
    if stored.size != size or bytes(stored.content_settings.content_md5 or md5) != md5:
        raise not_what_was_sent(shown)
