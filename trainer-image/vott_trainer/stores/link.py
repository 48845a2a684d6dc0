"""A link that takes one object by a plain PUT: a presigned URL of S3 or Google Cloud Storage, or that of an upload server."""

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
from vott_trainer.http.outgoing import Session, refusal_of
from vott_trainer.http.retry import PASSING_STATUS, AttemptError, Backoff, retry
from vott_trainer.stores.archive import digests
from vott_trainer.stores.base import LARGEST, StoredObject, written_whole
from vott_trainer.stores.messages import UPLOAD, explained, not_what_was_sent, too_large

SECONDS = 7200.0  # for the whole object: 5 GiB, the most that a link takes at Amazon, at 0.7 MiB/s
TIMEOUT = (10.0, 300.0)  # seconds to connect, seconds between two bytes
ERROR_BYTES = 1 << 16  # of a refusal are read
_MD5 = re.compile("[0-9a-f]{32}")
_S3_SIGNATURES = {"X-Amz-Signature", "AWSAccessKeyId"}


@dataclass(frozen=True)
class LinkStore:
    """One object at `url`: whatever name is given, it goes exactly there."""

    url: str = field(repr=False)
    backoff: Backoff = field(default=Backoff(), repr=False)
    session: Session = field(default_factory=lambda: Session(SECONDS), repr=False, compare=False)

    @property
    def shown(self) -> str:
        """The link without its query."""
        return redact_url(self.url)

    def url_of(self, name: str) -> str:  # noqa: ARG002 - the link says the name
        """Return the link without its query."""
        return self.shown

    def put(self, file: Path, name: str) -> StoredObject:  # noqa: ARG002
        """Upload a file with one PUT.

        It carries the body and nothing more: a store refuses headers, such as a checksum's, that the link was not signed for.
        """
        size = file.stat().st_size
        sha256, md5 = digests(file)
        with self._in_words(UPLOAD):
            etag = retry(lambda: self._put_once(file), self.backoff)
        if etag not in (None, md5.hex()):
            raise not_what_was_sent(self.shown)
        return StoredObject(self.shown, sha256, size)

    def get(self, name: str, file: Path) -> bool:  # noqa: ARG002
        """Download what lies at the link; False where nothing does."""
        with self._in_words("Reading"):
            return retry(lambda: self._get_once(file), self.backoff)

    def version(self, name: str) -> str | None:  # noqa: ARG002
        """Return ETag and time of what lies at the link, as far as the server tells them; None where nothing does."""
        with self._in_words("Reading"):
            return retry(self._version_once, self.backoff)

    def delete(self, name: str) -> None:  # noqa: ARG002
        """Delete what lies at the link."""
        with self._in_words("Deleting"):
            retry(self._delete_once, self.backoff)

    def _put_once(self, file: Path) -> str | None:
        with file.open("rb") as body, self._answer("PUT", data=body) as answer:
            _check(answer)
            return self._md5(answer)

    def _get_once(self, file: Path) -> bool:
        with self._answer("GET") as answer, contextlib.suppress(_NothingThereError):
            _check(answer)
            with written_whole(file) as target:
                target.writelines(chunks(answer, LARGEST))
            return True
        return False

    def _version_once(self) -> str | None:
        """Not by HEAD, for which such links are seldom signed; the body is left where it is."""
        with self._answer("GET") as answer, contextlib.suppress(_NothingThereError):
            _check(answer)
            return " ".join(answer.headers.get(name, "") for name in ("ETag", "Last-Modified")).strip()
        return None

    def _delete_once(self) -> None:
        with self._answer("DELETE") as answer, contextlib.suppress(_NothingThereError):
            _check(answer)

    def _md5(self, answer: requests.Response) -> str | None:
        """Return the MD5 of what S3 has stored, which is the ETag unless it is encrypted with a key of the user's; else None.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
        """
        encryption = answer.headers.get("x-amz-server-side-encryption", "AES256")
        customer = "x-amz-server-side-encryption-customer-algorithm" in answer.headers
        etag = answer.headers.get("ETag", "").strip('"')
        signed_by_s3 = _S3_SIGNATURES & set(parse_qs(urlsplit(self.url).query))
        return etag if signed_by_s3 and encryption == "AES256" and not customer and _MD5.fullmatch(etag) else None

    @contextlib.contextmanager
    def _answer(self, method: str, data: BinaryIO | None = None) -> Iterator[requests.Response]:
        """A redirect is not followed: it would turn the PUT into a GET, or go where nobody named."""
        options: dict[str, Any] = {"timeout": TIMEOUT, "allow_redirects": False, "stream": True}
        start = time.monotonic()
        try:
            with self.session.request(method, self.url, data=data, **options) as answer:
                yield answer
        except requests.RequestException as error:
            in_time = time.monotonic() - start < self.session.seconds  # else another attempt would not be quicker
            raise _RefusedError(None, passing=in_time) from error

    @contextlib.contextmanager
    def _in_words(self, doing: str) -> Iterator[None]:
        try:
            with refusal_of(f"{doing} {self.shown} is not allowed"):
                yield
        except TooLargeError as error:
            raise too_large(self.shown) from error
        except _RefusedError as error:
            raise explained(doing, self.shown, error.status, error.code) from error


class _RefusedError(AttemptError):
    def __init__(self, status: int | None, code: str = "", *, passing: bool) -> None:
        super().__init__(f"HTTP {status}", passing=passing)
        self.status, self.code = status, code


class _NothingThereError(_RefusedError):
    pass


def _check(answer: requests.Response) -> None:
    status = answer.status_code
    if status < 300:
        return
    kind = _NothingThereError if status in (requests.codes.not_found, requests.codes.gone) else _RefusedError
    raise kind(status, _code(answer), passing=status in PASSING_STATUS)


def _code(answer: requests.Response) -> str:
    """Return the store's own word for why, as S3 and its like put it into XML."""
    try:
        text = read(answer, ERROR_BYTES).decode(errors="replace")
    except (TooLargeError, requests.RequestException):
        return ""
    word = text.partition("<Code>")[2].partition("</Code>")[0]
    return word if word.isalnum() and len(word) < 50 else ""
