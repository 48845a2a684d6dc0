"""URLs as they may be shown, checked and read from arguments."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vott_trainer.errors import InvalidURLError

_QUERY = re.compile(r"(?<=[^\s?])\?[^\s\"'<>()]*=[^\s\"'<>()]*|(?<=://)([^\s?\"'<>]*)\?[^\s\"'<>]*")
_USER_INFO = re.compile(r"(?<=://)[^\s/@]+@")
_ANY_USER_INFO = re.compile(r"(?<=://)[^/]*@")


def redact(text: str) -> str:
    """Return `text` (a URL, or any text with URLs in it) without queries and user names: those carry credentials."""
    return _USER_INFO.sub("", _QUERY.sub(r"\1", text))


def redact_url(url: str) -> str:
    """Return `url`, which is exactly one URL, without query, fragment and user name.

    Unlike in free text it is known where the query ends, also with spaces and quotes in it.
    """
    return _ANY_USER_INFO.sub("", re.split("[?#]", url, maxsplit=1)[0])


def file_name(url: str) -> str:
    """Return the last part of the URL's path, or its host where the path is empty."""
    parts = urlsplit(url)
    return unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc


def is_http(url: str) -> bool:
    """Return whether `url` is absolute, with scheme http or https and a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        return False


def read_argument(name: str, value: str) -> str:
    """Return the URL of argument `name`; `@/path` names a file that holds it (docs/trainer-contract.md).

    Raises:
        InvalidURLError: the file can't be read, or this is no http(s) URL.
    """
    url = _read_file(name, value[1:]) if value.startswith("@") else value.strip()
    if not is_http(url):
        raise InvalidURLError(
            f"--{name}: expected a URL that begins with http:// or https://, found {_excerpt(url)}. "
            "Correct the URL and send the message again."
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
