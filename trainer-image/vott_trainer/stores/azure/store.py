"""An Azure container as a store."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContentSettings

from vott_guard.client import TooLargeError
from vott_guard.redaction import redact_url
from vott_trainer.atomic_write import atomic_write
from vott_trainer.errors import InvalidURLError
from vott_trainer.http.address_rules import explained_refusal
from vott_trainer.stores.azure.options import CONCURRENCY, client_options
from vott_trainer.stores.azure.transport import guarded_transport
from vott_trainer.stores.checksums import sha256_and_md5
from vott_trainer.stores.content_type import content_type
from vott_trainer.stores.object_names import checked_name
from vott_trainer.stores.store import MAX_OBJECT_BYTES, StoredObject
from vott_trainer.stores.store_errors import NEW_LINK, UPLOAD, store_error, too_large, verification_failed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AzureStore:
    """A container, with or without a prefix.

    Attributes:
        location: URL without query.
        blob: returns the client for a blob below the prefix.
        remedy: what errors recommend if the store refuses.
    """

    location: str
    blob: Callable[[str], BlobClient] = field(repr=False)
    remedy: str = NEW_LINK

    def url_of(self, name: str) -> str:
        """Return a blob's URL, without query."""
        return redact_url(self.blob(name).url)

    def put(self, file: Path, name: str) -> StoredObject:
        """Upload a file and verify it."""
        blob, size = self.blob(name), file.stat().st_size
        url = redact_url(blob.url)
        sha256, md5 = sha256_and_md5(file)
        with self._translated_errors(UPLOAD, url):
            _upload(file, blob, md5)
            _verify(blob, url, size, md5)
        return StoredObject(url, sha256, size)

    def get(self, name: str, file: Path) -> bool:
        """Download a blob; False if there is none."""
        blob = self.blob(name)
        with self._translated_errors("Reading", redact_url(blob.url)):
            try:
                with atomic_write(file) as target:
                    download = blob.download_blob(validate_content=True, max_concurrency=CONCURRENCY)
                    if download.size > MAX_OBJECT_BYTES:
                        raise TooLargeError
                    download.readinto(target)
            except ResourceNotFoundError:
                return False
        return True

    def version(self, name: str) -> str | None:
        """Return a blob's ETag, which changes with each write; None without a blob."""
        blob = self.blob(name)
        with self._translated_errors("Reading", redact_url(blob.url)):
            try:
                return str(blob.get_blob_properties().etag or "")
            except ResourceNotFoundError:
                return None

    def delete(self, name: str) -> None:
        """Delete a blob; not found is success."""
        blob = self.blob(name)
        with self._translated_errors("Deleting", redact_url(blob.url)), contextlib.suppress(ResourceNotFoundError):
            blob.delete_blob()

    @contextlib.contextmanager
    def _translated_errors(self, action: str, url: str) -> Iterator[None]:
        try:
            with explained_refusal(f"{action} {url} is not allowed"):
                yield
        except TooLargeError as error:
            raise too_large(url) from error
        except AzureError as error:
            status = error.status_code if isinstance(error, HttpResponseError) else None
            raise store_error(action, url, status, getattr(error, "error_code", None) or "", self.remedy) from error


def container_by_sas(base: str, query: str) -> AzureStore:
    """Open the container and prefix at a message's URL with its SAS; the administrator's rules for addresses apply.

    Args:
        base: URL without query.
        query: the SAS.
    """
    return container_at(base, query, transport=guarded_transport())


def container_at(
    base: str, query: str = "", credential: Any = None, remedy: str = NEW_LINK, **transport: Any
) -> AzureStore:
    """Open the container and prefix at a URL, without query and percent-encoded, with a SAS or an Azure credential."""

    def blob(name: str) -> BlobClient:
        url = f"{base}/{quote(checked_name(name))}"
        try:
            return BlobClient.from_blob_url(f"{url}?{query}", credential=credential, **client_options(), **transport)
        except ValueError as error:
            raise InvalidURLError(
                f"--model: {redact_url(url)} names no container. Use https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS."
            ) from error

    return AzureStore(redact_url(base), blob, remedy)


def _upload(file: Path, blob: BlobClient, md5: bytes) -> None:
    settings = ContentSettings(content_type=content_type(str(blob.blob_name)), content_md5=bytearray(md5))
    with file.open("rb") as opened:
        # validate_content: Azure compares the MD5 of each request's body, which suffices for a write-only link.
        blob.upload_blob(
            opened, overwrite=True, validate_content=True, content_settings=settings, max_concurrency=CONCURRENCY
        )


def _verify(blob: BlobClient, url: str, size: int, md5: bytes) -> None:
    try:
        stored = blob.get_blob_properties()
    except HttpResponseError as error:
        if isinstance(error, ClientAuthenticationError) or error.status_code in (401, 403):
            log.info("the link does not permit reading; Azure compared the checksum of the upload")
            return
        raise
    if stored.size != size or bytes(stored.content_settings.content_md5 or md5) != md5:
        raise verification_failed(url)
