"""From `--model` to the destination: what the URL names, and which permission opens it.

Resolved before the training, so that a wrong link costs no hours. docs/destinations.md lists all kinds of URLs.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from vott_guard.redaction import redact_url
from vott_guard.urls import HTTP_OR_S3, is_url
from vott_trainer.errors import InvalidURLError
from vott_trainer.http import address_rules
from vott_trainer.http.urls import file_name
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.azure.own_identity import open_container
from vott_trainer.stores.azure.store import container_by_sas
from vott_trainer.stores.destination import ARCHIVE_NAME, MANIFEST_NAME, Destination
from vott_trainer.stores.folder import FolderStore
from vott_trainer.stores.link_permissions import check_presigned, check_sas
from vott_trainer.stores.object_names import is_plain_path
from vott_trainer.stores.presigned_put import PresignedPutStore
from vott_trainer.stores.s3.own_identity import open_bucket
from vott_trainer.stores.s3.url import parse_s3_url
from vott_trainer.stores.store_errors import UPLOAD

ARCHIVE_ENDINGS = (".tgz", ".tar.gz")
SAS_FIELDS = {"sv", "sp", "si", "sr"}  # version, permissions, policy, resource


def is_destination(url: str) -> bool:
    """Whether `url` can name a destination: http(s), or `s3://BUCKET`."""
    return is_url(url, HTTP_OR_S3)


def is_path(text: str) -> bool:
    """Whether `text` is an absolute path, which is allowed only without a TrainingJob."""
    return text.startswith("/")


def resolve(url: str, access: StorageAccess, now: datetime | None = None) -> Destination:
    """Return the destination that a URL, or the absolute path of a folder or archive, names.

    Raises:
        AddressRefusedError: the administrator's rules forbid the link.
        UploadRefusedError: the link has expired or does not permit writing, or its account, container or bucket is not allowed.
        InvalidURLError: the URL names no container or bucket, or leads out of it.
    """
    if is_path(url):
        return _by_path(url)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    now = now or datetime.now(UTC)
    if "sig" in query and SAS_FIELDS & query.keys():  # an upload server may have a `sig`, too
        return _by_sas(url, query, now)
    if query and is_url(url) and ".blob.core." not in urlsplit(url).netloc:
        return _by_presigned_url(url, query, now)
    base, name = _split(url)
    bucket = parse_s3_url(base, access.environment)
    store = open_bucket(bucket, access) if bucket else open_container(base, access)
    return Destination(store, name, is_prefix=_is_prefix(url), readable=True)


def _by_path(path: str) -> Destination:
    if path.lower().endswith(ARCHIVE_ENDINGS):
        return Destination(FolderStore(Path(path).parent), Path(path).name, readable=True)
    name = "" if path.endswith("/") else ARCHIVE_NAME
    return Destination(FolderStore(Path(path)), name, is_prefix=True, readable=True)


def _by_presigned_url(url: str, query: dict[str, str], now: datetime) -> Destination:
    address_rules.check_url(url, _not_allowed(url))
    check_presigned(query, url, now)
    return Destination(PresignedPutStore(url), file_name(url), by_link=True)


def _by_sas(url: str, sas: dict[str, str], now: datetime) -> Destination:
    address_rules.check_url(url, _not_allowed(url))
    check_sas(sas, url, now)
    one_blob = sas.get("sr") == "b"
    base, name = _split(url, one_blob=one_blob)
    if {".", ".."} & set(re.split(r"[/\\]", unquote(urlsplit(base).path))):  # a blob's name may have empty parts
        raise _leads_out(url)
    if one_blob and not name:
        raise InvalidURLError(
            f"--model: {redact_url(url)} ends with a slash, which requests single files, but its SAS is for one blob (sr=b). "
            "Leave out the slash, or make a link for the container."
        )
    store = container_by_sas(base, urlsplit(url).query)
    try:
        store.blob(name or MANIFEST_NAME)  # fails if the URL is not a blob's
    except InvalidURLError as error:
        raise InvalidURLError(
            f"--model: {redact_url(url)} names no container. Use https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS."
        ) from error
    permissions = set(sas.get("sp", "rw"))  # absent if a stored access policy holds them
    return Destination(
        store,
        name,
        is_prefix=not one_blob and _is_prefix(url),
        readable=not one_blob and {"r", "w"} <= permissions,
        by_link=True,
    )


def _not_allowed(url: str) -> str:
    return f"{UPLOAD} {redact_url(url)} is not allowed"


def _is_prefix(url: str) -> bool:
    """Whether the URL names a container, bucket or prefix; an archive's URL gets that object alone."""
    return not urlsplit(url).path.lower().endswith(ARCHIVE_ENDINGS)


def _split(url: str, *, one_blob: bool = False) -> tuple[str, str]:
    """Return the URL, without query, of the container and prefix, and the archive's name; no name if it ends with a slash.

    Raises:
        InvalidURLError: the decoded name leads elsewhere; only the container is checked later.
    """
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(query="", fragment=""))
    if one_blob or not _is_prefix(url):
        base, _, last = bare.rpartition("/")
        if last and not is_plain_path(unquote(last)):
            raise _leads_out(url)
        return base, unquote(last)
    return bare.rstrip("/"), "" if parts.path.endswith("/") else ARCHIVE_NAME


def _leads_out(url: str) -> InvalidURLError:
    return InvalidURLError(
        f"--model: {redact_url(url)} has empty parts, dots or control characters in its path, percent-encoded or not. "
        "Correct the URL and send the message again."
    )
