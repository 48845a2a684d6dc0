"""An S3 bucket as a store.

The rules for messages' URLs (http/address_rules.py) do not apply: the client connects only to Amazon or the administrator's server,
and only to buckets that the administrator has listed (own_identity.py).
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from vott_trainer.atomic_write import atomic_write
from vott_trainer.errors import TrainerError
from vott_trainer.stores.checksums import sha256_of
from vott_trainer.stores.content_type import content_type
from vott_trainer.stores.object_names import checked_name
from vott_trainer.stores.s3.options import PARALLEL_PARTS, PART_BYTES
from vott_trainer.stores.store import StoredObject
from vott_trainer.stores.store_errors import ASK_ADMINISTRATOR, UPLOAD, store_error, verification_failed

if TYPE_CHECKING:
    import obstore
    import obstore.store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class S3Store:
    """A bucket with a prefix, which may be empty; `location` is its URL without query."""

    location: str
    prefix: str
    client: "obstore.store.S3Store" = field(repr=False)

    def url_of(self, name: str) -> str:
        """Return an object's URL."""
        return f"{self.location}/{quote(name)}"

    def put(self, file: Path, name: str) -> StoredObject:
        """Upload a file, a large one in parts, and verify it: S3 compares the SHA-256 of each part."""
        import obstore

        url, size = self.url_of(name), file.stat().st_size
        sha256 = sha256_of(file)
        with self._translated_errors(UPLOAD, url):
            obstore.put(
                self.client,
                self._key(name),
                file,
                attributes={"Content-Type": content_type(name)},
                chunk_size=PART_BYTES,
                max_concurrency=PARALLEL_PARTS,
            )
            stored_size = self._size(name)
        if stored_size not in (None, size):
            raise verification_failed(url)
        return StoredObject(url, sha256, size)

    def get(self, name: str, file: Path) -> bool:
        """Download an object; False if there is none, or if it may not be read: without the right to list, S3 answers 403 to both."""
        with self._translated_errors("Reading", self.url_of(name)):
            found = self._open(name)
            if not found:
                return False
            with atomic_write(file) as target:
                for chunk in found.stream():
                    target.write(chunk)
        return True

    def version(self, name: str) -> str | None:
        """Return an object's ETag, which depends on the content, and modification time; None if `get` returns False.

        By GET, not HEAD: a refused HEAD has no error code.
        """
        with self._translated_errors("Reading", self.url_of(name)):
            found = self._open(name)
            return f"{found.meta['e_tag']} {found.meta['last_modified']}" if found else None

    def delete(self, name: str) -> None:
        """Delete an object; not found is success."""
        import obstore

        with self._translated_errors("Deleting", self.url_of(name)), contextlib.suppress(FileNotFoundError):
            obstore.delete(self.client, self._key(name))

    def _open(self, name: str) -> "obstore.GetResult | None":
        import obstore
        from obstore.exceptions import PermissionDeniedError

        try:
            return obstore.get(self.client, self._key(name))
        except FileNotFoundError:
            return None
        except PermissionDeniedError as error:
            if _error_code(error) != "AccessDenied":
                raise
            log.info("%s does not exist, or may not be read", self.url_of(name))
            return None

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{checked_name(name)}" if self.prefix else checked_name(name)

    def _size(self, name: str) -> int | None:
        """Return an object's size in the bucket; None if the identity may only write."""
        import obstore
        from obstore.exceptions import PermissionDeniedError

        try:
            return obstore.head(self.client, self._key(name))["size"]
        except PermissionDeniedError:
            log.info("the identity may not read; S3 compared the checksum of the upload")
            return None

    @contextlib.contextmanager
    def _translated_errors(self, action: str, url: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise _translate(action, url, error) from None  # its text contains the signed request


def _translate(action: str, url: str, error: Exception) -> TrainerError:
    text = str(error)
    if "incorrectly configured region" in text:  # obstore's text for a redirect without location
        return store_error(action, url, 301, "PermanentRedirect", ASK_ADMINISTRATOR)
    status = re.search(r"\b([45]\d\d) [A-Z]", text)
    return store_error(action, url, int(status[1]) if status else None, _error_code(error), ASK_ADMINISTRATOR)


def _error_code(error: Exception) -> str:
    """Return S3's error code, empty without a body, as after HEAD."""
    code = re.search(r"<Code>(\w+)</Code>", str(error))
    return code[1] if code else ""
