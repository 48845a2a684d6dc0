"""Objects in an S3 bucket: Amazon's, or that of a server that speaks the same protocol, such as MinIO."""

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from vott_trainer.archive import digests
from vott_trainer.errors import InvalidURLError, TrainerError, UploadRefusedError
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.base import StoredObject, written_whole
from vott_trainer.stores.own import plain_names
from vott_trainer.stores.words import ASK_ADMINISTRATOR, UPLOAD, content_type, explained, not_what_was_sent
from vott_trainer.urls import redact_url

if TYPE_CHECKING:
    import obstore.store
    from obstore.store import ClientConfig, RetryConfig

log = logging.getLogger(__name__)

PART = 16 << 20  # bytes; a bucket takes 10,000 parts of an object
PARTS_AT_ONCE = 4
RETRIES: "RetryConfig" = {  # about half a minute in all
    "max_retries": 5,
    "backoff": {"init_backoff": timedelta(seconds=1), "max_backoff": timedelta(seconds=15), "base": 2},
}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_AMAZON = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3[.-](?:dualstack\.)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.)?amazonaws\.com(?:\.cn)?"
)
_IDENTITIES = (
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
)


@dataclass(frozen=True)
class Place:
    """What `url` (without a query) means: bucket, prefix, and its server; `endpoint` is empty for Amazon's of that region."""

    url: str
    bucket: str
    prefix: str
    endpoint: str
    region: str
    bucket_in_host: bool = False


def place_of(url: str, environment: Mapping[str, str]) -> Place | None:
    """Return what an `s3://` or http(s) URL without a query means; None where it is no URL of the administrator's S3.

    With AWS_ENDPOINT_URL that server is meant, and Amazon's are not: a bucket of the same name may be anybody's there.
    """
    parts = urlsplit(url)
    endpoint = (environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or "").rstrip("/")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    path = unquote(parts.path).strip("/")
    if parts.scheme == "s3":
        return Place(url, parts.netloc, path, endpoint, region)
    if endpoint:
        return _on_server(urlsplit(endpoint).netloc, urlsplit(endpoint).scheme, url, path, region)
    if parts.scheme == "https" and (amazon := _AMAZON.fullmatch(parts.netloc.lower())):
        return _on_host(amazon["bucket"] or "", url, path, amazon["region"] or region)
    return None


def _on_server(server: str, scheme: str, url: str, path: str, region: str) -> Place | None:
    parts = urlsplit(url)
    host = parts.netloc.lower()
    if parts.scheme != scheme or not (host == server.lower() or host.endswith(f".{server.lower()}")):
        return None
    return _on_host(host.removesuffix(server.lower()).rstrip("."), url, path, region)


def _on_host(bucket_in_host: str, url: str, path: str, region: str) -> Place:
    parts = urlsplit(url)
    endpoint = f"{parts.scheme}://{parts.netloc}"
    if bucket_in_host:
        return Place(url, bucket_in_host, path, endpoint, region, bucket_in_host=True)
    bucket, _, prefix = path.partition("/")
    return Place(url, bucket, prefix, endpoint, region)


def open_bucket(place: Place, access: StorageAccess, *, listed: bool = True) -> "S3Store":
    """Return the bucket and prefix, opened with the administrator's own identity.

    Raises:
        InvalidURLError: it names no bucket.
        UploadRefusedError: it is not listed, or there is no identity.
    """
    whole = f"{place.bucket}/{place.prefix}".rstrip("/")
    if not place.bucket or not plain_names(whole):
        raise InvalidURLError("--model: the S3 URL names no bucket, or has an empty part. Use s3://BUCKET/PREFIX.")
    if listed and not access.allows_bucket(whole):
        raise UploadRefusedError(
            f"Bucket {whole!r} is not among those that models may go to without a presigned link. "
            "Send a presigned link, or ask the administrator to list the bucket in VOTT_MODEL_BUCKETS."
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
        "timeout": timedelta(minutes=5),  # for one request, a part
    }
    if authorities := environment.get("AWS_CA_BUNDLE"):
        options["root_certificate"] = Path(authorities).read_bytes()
    return options


_CONFIG = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_role_arn",
        "aws_role_session_name",
        "aws_sts_endpoint",
        "aws_web_identity_token_file",
        "aws_container_credentials_full_uri",
        "aws_container_authorization_token_file",
        "aws_server_side_encryption",
        "aws_sse_kms_key_id",
    }
)


@dataclass(frozen=True)
class S3Store:
    """A bucket with a prefix (may be empty)."""

    shown: str
    prefix: str
    client: "obstore.store.S3Store" = field(repr=False)

    def put(self, file: Path, name: str) -> StoredObject:
        """Upload a file, in parts where it is large; the bucket compares the SHA-256 of each."""
        import obstore

        shown, size = self._shown(name), file.stat().st_size
        sha256, _ = digests(file)
        with self._in_words(UPLOAD, shown):
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
            raise not_what_was_sent(shown)
        return StoredObject(shown, sha256, size)

    def get(self, name: str, file: Path) -> bool:
        """Download an object; False where there is none, and also where the store does not say so to whom may not list."""
        import obstore
        from obstore.exceptions import PermissionDeniedError

        with self._in_words("Reading", self._shown(name)):
            try:
                chunks = obstore.get(self.client, self._key(name)).stream()
            except FileNotFoundError:
                return False
            except PermissionDeniedError as error:
                if _code(error) != "AccessDenied":
                    raise
                log.info("%s is not there, or may not be read", self._shown(name))
                return False
            with written_whole(file) as target:
                for chunk in chunks:
                    target.write(chunk)
        return True

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        import obstore

        with self._in_words("Deleting", self._shown(name)), contextlib.suppress(FileNotFoundError):
            obstore.delete(self.client, self._key(name))

    def _shown(self, name: str) -> str:
        return f"{self.shown}/{quote(name)}"

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

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
