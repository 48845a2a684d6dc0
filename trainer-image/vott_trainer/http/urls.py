"""URLs: file names, the part that identifies content, and URLs in arguments."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from vott_guard.redaction import redact_url, webhook_origin
from vott_guard.urls import is_url
from vott_trainer.errors import InvalidURLError

# Fields of an Azure SAS: account, service and user delegation.
_SAS_FIELD = re.compile("s[eiprstv]|s(dd|es|ig|ip|pr|rt|cid|aoid|uoid|koid|ktid|k[estv])")
_SIGNATURE_V2_FIELDS = {"awsaccesskeyid", "googleaccessid", "expires", "signature"}  # of S3 and Google Cloud Storage


def file_name(url: str) -> str:
    """Return the last part of the URL's path, or the host if the path is empty.

    A name that is not printable stays percent-encoded, so that it can't control a terminal or break a line.
    """
    parts = urlsplit(url)
    name = unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc.rpartition("@")[2]
    return name if name.isprintable() else quote(name, errors="replace")


def unsigned_url(url: str) -> str:
    """Return `url` without user information, fragment and signature: equal for everyone who may read the content.

    The query stays unless all of it belongs to a SAS or presigned URL, because it may select the content.
    """
    parts = urlsplit(url)
    fields = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    query = "" if _is_signature(fields) else parts.query
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment="").geturl()


def _is_signature(fields: set[str]) -> bool:
    """Whether these are the fields of a SAS or presigned URL, and no others."""
    sas = "sig" in fields and all(map(_SAS_FIELD.fullmatch, fields))
    return (
        sas
        or ("signature" in fields and fields <= _SIGNATURE_V2_FIELDS)
        or ("x-amz-signature" in fields and all(field.startswith("x-amz-") for field in fields))
    )


def is_unsigned_at_store(url: str) -> bool:
    """Whether a URL without SAS or signature leads to Azure's or Amazon's storage, which is rarely public."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return not parts.query and (".blob." in host or ".amazonaws." in host or parts.scheme == "s3")


def read_argument(
    name: str,
    value: str,
    is_valid: Callable[[str], bool] = is_url,
    expected: str = "a URL that starts with http:// or https://",
) -> str:
    """Return the URL of argument `name`; `@/path` names a file that holds it (docs/trainer-contract.md).

    Raises:
        InvalidURLError: the file can't be read, or the URL is not valid.
    """
    url = _read_file(name, value[1:]) if value.startswith("@") else value.strip()
    if not is_valid(url):
        raise InvalidURLError(
            f"--{name}: expected {expected}, found {_excerpt(name, url)}. Correct the URL and send the message again."
        )
    if "#" in url and is_url(url):
        raise InvalidURLError(
            f"--{name}: the URL {_excerpt(name, url)} ends at a #. Percent-encode it as %23 and send the message again."
        )
    return url


def _read_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidURLError(f"--{name}: the file {path} that should hold the URL can't be read: {error}.") from error


def _excerpt(name: str, url: str) -> str:
    redacted_url = webhook_origin(url) if name == "status" and "://" in url else redact_url(url)
    return f"{redacted_url[:80]!r}…" if len(redacted_url) > 80 else repr(redacted_url)
