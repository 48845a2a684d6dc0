"""Objects in an S3 bucket: Amazon's, or that of a server that speaks the same protocol, such as MinIO.

The client is not held to the rules for messages' URLs (vott_trainer.http.outgoing), and need not be: it asks Amazon's hosts or the
administrator's own server, and no bucket but those that he has listed (s3_place.py).
"""

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from vott_guard.redaction import redact_url
from vott_trainer.errors import InvalidURLError, TrainerError, UploadRefusedError
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.archive import digests
from vott_trainer.stores.base import StoredObject, checked_name, plain_names, written_whole
from vott_trainer.stores.messages import ASK_ADMINISTRATOR, UPLOAD, content_type, explained, not_what_was_sent
from vott_trainer.stores.own_account import BUCKETS
from vott_trainer.stores.s3_place import Place

if TYPE_CHECKING:
    import obstore
    import obstore.store
    from obstore.store import ClientConfig, RetryConfig

log = logging.getLogger(__name__)

PART = 16 << 20  # bytes; a bucket takes 10,000 parts of an object
PARTS_AT_ONCE = 4
RETRIES: "RetryConfig" = {  # about half a minute in all
    "max_retries": 5,
    "backoff": {"init_backoff": timedelta(seconds=1), "max_backoff": timedelta(seconds=15), "base": 2},
}
_BUCKET = re.compile(r"[A-Za-z0-9._-]+")
_IDENTITIES = (
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
)
_CONFIG = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_role_arn",
        "aws_role_session_name",
        "aws_endpoint_url_sts",
        "aws_web_identity_token_file",
    }
)


def open_bucket(place: Place, access: StorageAccess, *, listed: bool = True) -> "S3Store":
    """Return the bucket and prefix, opened with the administrator's own identity.

    Raises:
        InvalidURLError: it names no bucket.
        UploadRefusedError: it is not listed, or there is no identity.
    """
    whole = f"{place.bucket}/{place.prefix}".rstrip("/")
    if not _BUCKET.fullmatch(place.bucket) or not plain_names(whole):
        raise InvalidURLError("--model: the S3 URL names no bucket, or has an empty part. Use s3://BUCKET/PREFIX.")
    if listed and not access.allows_bucket(whole):
        raise UploadRefusedError(
            f"Bucket {whole!r} is not among those that models may go to without a presigned link. "
            f"Send a presigned link, or ask the administrator to list the bucket in {BUCKETS}."
        )
    if not any(all(access.environment.get(name) for name in names) for names in _IDENTITIES):
        raise UploadRefusedError(
            f"This installation has no identity to write to s3://{whole}. "
            "Send a presigned link, or ask the administrator to set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return S3Store(redact_url(place.url).rstrip("/"), place.prefix, _client(place, access.environment))


def _client(place: Place, environment: Mapping[str, str]) -> "obstore.store.S3Store":
    from obstore.store import S3Store as Client

    config: Any = {name.lower(): value for name, value in environment.items() if name.lower() in _CONFIG}
    if place.endpoint:
        config["aws_endpoint"] = place.endpoint
    # An address that has dots in the bucket's name fits no wildcard certificate.
    in_host = place.bucket_in_host or (not place.endpoint and "." not in place.bucket)
    return Client(
        place.bucket,
        config=config
        | {
            "aws_region": place.region,
            "aws_virtual_hosted_style_request": in_host,
            "aws_checksum_algorithm": "SHA256",
            "aws_disable_bulk_delete": True,  # its answer does not say why
        },
        client_options=_client_options(place, environment),
        retry_config=RETRIES,
    )


def _client_options(place: Place, environment: Mapping[str, str]) -> "ClientConfig":
    options: ClientConfig = {
        "allow_http": place.endpoint.startswith("http:"),
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(minutes=5),  # without a byte, or for a part on its way
        "timeout": timedelta(hours=6),  # for a whole object
    }
    if authorities := environment.get("AWS_CA_BUNDLE"):
        options["root_certificate"] = Path(authorities).read_bytes()
    return options


@dataclass(frozen=True)
class S3Store:
    """A bucket with a prefix (may be empty)."""

    shown: str
    prefix: str
    client: "obstore.store.S3Store" = field(repr=False)

    def url_of(self, name: str) -> str:
        """Return where the object of that name lies."""
        return f"{self.shown}/{quote(name)}"

    def put(self, file: Path, name: str) -> StoredObject:
        """Upload a file, in parts where it is large; the bucket compares the SHA-256 of each."""
        import obstore

        url, size = self.url_of(name), file.stat().st_size
        sha256, _ = digests(file)
        with self._in_words(UPLOAD, url):
            obstore.put(
                self.client,
                self._key(name),
                file,
                attributes={"Content-Type": content_type(name)},
                chunk_size=PART,
                max_concurrency=PARTS_AT_ONCE,
            )
            stored = self._size(name)
        if stored not in (None, size):
            raise not_what_was_sent(url)
        return StoredObject(url, sha256, size)

    def get(self, name: str, file: Path) -> bool:
        """Download an object; False where there is none, and also where the store does not say so to whom may not list."""
        with self._in_words("Reading", self.url_of(name)):
            found = self._open(name)
            if not found:
                return False
            with written_whole(file) as target:
                for chunk in found.stream():
                    target.write(chunk)
        return True

    def version(self, name: str) -> str | None:
        """Return ETag (which is of the content) and time of an object; None where `get` returns False.

        Not by HEAD: a refusal of that does not say why.
        """
        with self._in_words("Reading", self.url_of(name)):
            found = self._open(name)
            return f"{found.meta['e_tag']} {found.meta['last_modified']}" if found else None

    def _open(self, name: str) -> "obstore.GetResult | None":
        import obstore
        from obstore.exceptions import PermissionDeniedError

        try:
            return obstore.get(self.client, self._key(name))
        except FileNotFoundError:
            return None
        except PermissionDeniedError as error:
            if _code(error) != "AccessDenied":
                raise
            log.info("%s is not there, or may not be read", self.url_of(name))
            return None

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        import obstore

        with self._in_words("Deleting", self.url_of(name)), contextlib.suppress(FileNotFoundError):
            obstore.delete(self.client, self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{checked_name(name)}" if self.prefix else checked_name(name)

    def _size(self, name: str) -> int | None:
        """Return the size that the bucket holds; None where the identity may only write."""
        import obstore
        from obstore.exceptions import PermissionDeniedError

        try:
            return obstore.head(self.client, self._key(name))["size"]
        except PermissionDeniedError:
            log.info("the identity may not read; the bucket itself compared the checksum of what was sent")
            return None

    @contextlib.contextmanager
    def _in_words(self, doing: str, shown: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise _explained(doing, shown, error) from None  # its text holds what was signed


def _explained(doing: str, shown: str, error: Exception) -> TrainerError:
    text = str(error)
    if "incorrectly configured region" in text:  # obstore's words for a redirect to nowhere
        return explained(doing, shown, 301, "PermanentRedirect", ASK_ADMINISTRATOR)
    status = re.search(r"\b([45]\d\d) [A-Z]", text)
    return explained(doing, shown, int(status[1]) if status else None, _code(error), ASK_ADMINISTRATOR)


def _code(error: Exception) -> str:
    """Return S3's own word for why; a HEAD has none."""
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    return found[1] if found else ""
