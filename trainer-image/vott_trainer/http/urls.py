"""URLs as they may be shown, checked and read from arguments."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from vott_guard.redaction import redact_url
from vott_trainer.errors import InvalidURLError

# The fields of an Azure SAS: account, service and user delegation.
_SAS = re.compile("s[eiprstv]|s(dd|es|ig|ip|pr|rt|cid|aoid|uoid|koid|ktid|k[estv])")
_SIGNED = {"awsaccesskeyid", "googleaccessid", "expires", "signature"}


def file_name(url: str) -> str:
    """Return the last part of the URL's path, or its host where the path is empty.

    It is shown: with characters that a line or a terminal would obey it stays percent-encoded.
    """
    parts = urlsplit(url)
    name = unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc.rpartition("@")[2]
    return name if name.isprintable() else quote(name, errors="replace")


def is_http(url: str) -> bool:
    """Return whether `url` is absolute, with scheme http or https and a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        return False


def without_credential(url: str) -> str:
    """Return `url` without the parts that say who may read it, so that it names the same content for all who may.

    A query is kept unless all of it belongs to a SAS or to a presigned link: it may choose the content.
    """
    parts = urlsplit(url)
    names = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    query = "" if _is_signature(names) else parts.query
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment="").geturl()


def _is_signature(names: set[str]) -> bool:
    """Return whether the fields of a query are those of a SAS or of a presigned link, and no other."""
    sas = "sig" in names and all(map(_SAS.fullmatch, names))
    return (
        sas
        or ("signature" in names and names <= _SIGNED)
        or ("x-amz-signature" in names and all(name.startswith("x-amz-") for name in names))
    )


def read_argument(
    name: str,
    value: str,
    is_valid: Callable[[str], bool] = is_http,
    expected: str = "a URL that begins with http:// or https://",
) -> str:
    """Return the URL of argument `name`; `@/path` names a file that holds it (docs/trainer-contract.md).

    Raises:
        InvalidURLError: the file can't be read, or the URL is not valid.
    """
    url = _read_file(name, value[1:]) if value.startswith("@") else value.strip()
    if not is_valid(url):
        raise InvalidURLError(
            f"--{name}: expected {expected}, found {_excerpt(url)}. Correct the URL and send the message again."
        )
    return url


def _read_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidURLError(f"--{name}: the file {path} that should hold the URL can't be read: {error}.") from error


def _excerpt(url: str) -> str:
    shown = redact_url(url)
    return f"{shown[:80]!r}…" if len(shown) > 80 else repr(shown)
