"""A link that takes one object by a plain PUT: a presigned URL of S3 or Google Cloud Storage, or of an upload server."""

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

import requests

from vott_guard.client import TooLargeError, chunks, read
from vott_guard.redaction import redact_url
from vott_trainer.atomic_write import atomic_write
from vott_trainer.http.address_rules import explained_refusal
from vott_trainer.http.retry import TRANSIENT_STATUS, AttemptError, RetryPolicy, retry
from vott_trainer.http.session import Session
from vott_trainer.stores.checksums import sha256_and_md5
from vott_trainer.stores.store import MAX_OBJECT_BYTES, StoredObject
from vott_trainer.stores.store_errors import UPLOAD, store_error, too_large, verification_failed

SECONDS = 7200.0  # for the whole object: 5 GiB, Amazon's limit for a PUT, at 0.7 MiB/s
TIMEOUT = (10.0, 300.0)  # seconds to connect, seconds between two bytes
ERROR_BYTES = 1 << 16  # read of an error response
_MD5 = re.compile("[0-9a-f]{32}")
_S3_SIGNATURES = {"X-Amz-Signature", "AWSAccessKeyId"}


@dataclass(frozen=True)
class PresignedPutStore:
    """One object at `url`, whatever its name."""

    url: str = field(repr=False)
    retry_policy: RetryPolicy = field(default=RetryPolicy(), repr=False)
    session: Session = field(default_factory=lambda: Session(SECONDS), repr=False, compare=False)

    @property
    def location(self) -> str:
        """The link without its query."""
        return redact_url(self.url)

    def url_of(self, name: str) -> str:  # noqa: ARG002 - the link names the object
        """Return the link without its query."""
        return self.location

    def put(self, file: Path, name: str) -> StoredObject:  # noqa: ARG002
        """Upload a file with one PUT.

        Without any additional header, such as a checksum's: a store refuses headers that the link was not signed for.
        """
        size = file.stat().st_size
        sha256, md5 = sha256_and_md5(file)
        with self._translated_errors(UPLOAD):
            etag = retry(lambda: self._put_once(file), self.retry_policy)
        if etag not in (None, md5.hex()):
            raise verification_failed(self.location)
        return StoredObject(self.location, sha256, size)

    def get(self, name: str, file: Path) -> bool:  # noqa: ARG002
        """Download the object; False if there is none."""
        with self._translated_errors("Reading"):
            return retry(lambda: self._get_once(file), self.retry_policy)

    def version(self, name: str) -> str | None:  # noqa: ARG002
        """Return the object's ETag and modification time, as far as the server sends them; None without an object."""
        with self._translated_errors("Reading"):
            return retry(self._version_once, self.retry_policy)

    def delete(self, name: str) -> None:  # noqa: ARG002
        """Delete the object; not found is success."""
        with self._translated_errors("Deleting"):
            retry(self._delete_once, self.retry_policy)

    def _put_once(self, file: Path) -> str | None:
        with file.open("rb") as body, self._request("PUT", data=body) as response:
            _raise_for_status(response)
            return self._md5(response)

    def _get_once(self, file: Path) -> bool:
        with self._request("GET") as response, contextlib.suppress(_NotFoundError):
            _raise_for_status(response)
            with atomic_write(file) as target:
                target.writelines(chunks(response, MAX_OBJECT_BYTES))
            return True
        return False

    def _version_once(self) -> str | None:
        """Send GET, not HEAD, for which such links are rarely signed; do not read the body."""
        with self._request("GET") as response, contextlib.suppress(_NotFoundError):
            _raise_for_status(response)
            return " ".join(response.headers.get(name, "") for name in ("ETag", "Last-Modified")).strip()
        return None

    def _delete_once(self) -> None:
        with self._request("DELETE") as response, contextlib.suppress(_NotFoundError):
            _raise_for_status(response)

    def _md5(self, response: requests.Response) -> str | None:
        """Return the MD5 of what S3 stored: its ETag, unless it is encrypted with KMS or a customer's key; else None.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
        """
        encryption = response.headers.get("x-amz-server-side-encryption", "AES256")
        customer_key = "x-amz-server-side-encryption-customer-algorithm" in response.headers
        etag = response.headers.get("ETag", "").strip('"')
        signed_by_s3 = _S3_SIGNATURES & set(parse_qs(urlsplit(self.url).query))
        return etag if signed_by_s3 and encryption == "AES256" and not customer_key and _MD5.fullmatch(etag) else None

    @contextlib.contextmanager
    def _request(self, method: str, data: BinaryIO | None = None) -> Iterator[requests.Response]:
        """Send a request without following redirects, which would turn the PUT into a GET or lead elsewhere."""
        options: dict[str, Any] = {"timeout": TIMEOUT, "allow_redirects": False, "stream": True}
        start = time.monotonic()
        try:
            with self.session.request(method, self.url, data=data, **options) as response:
                yield response
        except requests.RequestException as error:
            in_time = time.monotonic() - start < self.session.seconds  # otherwise another attempt takes as long
            raise _RefusedError(None, transient=in_time) from error

    @contextlib.contextmanager
    def _translated_errors(self, action: str) -> Iterator[None]:
        try:
            with explained_refusal(f"{action} {self.location} is not allowed"):
                yield
        except TooLargeError as error:
            raise too_large(self.location) from error
        except _RefusedError as error:
            raise store_error(action, self.location, error.status, error.code) from error


class _RefusedError(AttemptError):
    def __init__(self, status: int | None, code: str = "", *, transient: bool) -> None:
        super().__init__(f"HTTP {status}", transient=transient)
        self.status, self.code = status, code


class _NotFoundError(_RefusedError):
    pass


def _raise_for_status(response: requests.Response) -> None:
    status = response.status_code
    if status < 300:
        return
    kind = _NotFoundError if status in (requests.codes.not_found, requests.codes.gone) else _RefusedError
    raise kind(status, _error_code(response), transient=status in TRANSIENT_STATUS)


def _error_code(response: requests.Response) -> str:
    """Return the error code in S3's XML; empty if there is none."""
    try:
        text = read(response, ERROR_BYTES).decode(errors="replace")
    except (TooLargeError, requests.RequestException):
        return ""
    code = text.partition("<Code>")[2].partition("</Code>")[0]
    return code if code.isalnum() and len(code) < 50 else ""
