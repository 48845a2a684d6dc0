"""URLs as they may be shown, checked and read from arguments."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from vott_trainer.errors import InvalidURLError

REDACTED = "***"
# Each pattern is tried at few places and takes what it has looked at: what is redacted comes from others, and is long.
_WORD = re.compile(r"[^\s\"'<>]+")
_ENCODED_URL = re.compile(r"%(?:25)*3a(?:%(?:25)*2f){2}", re.IGNORECASE)
_ENCODED_END = re.compile(r"[?#]|%(?:25)*(?:3f|23)", re.IGNORECASE)
_QUESTION_MARK = re.compile(r"(\?|%(?:25)*3f)", re.IGNORECASE)
_EQUALS = re.compile(r"=|%(?:25)*3d", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^\s/@]+@")
# The fields of an Azure SAS: account, service and user delegation.
_SAS = re.compile("s[eiprstv]|s(dd|es|ig|ip|pr|rt|cid|aoid|uoid|koid|ktid|k[estv])")
_SIGNED = {"awsaccesskeyid", "googleaccessid", "expires", "signature"}
_ANY_USER_INFO = re.compile(r"(?<=://)[^/]*@")
_SECRET_FIELD = re.compile("sig|token|key|secret|passw|credential", re.IGNORECASE)
_SHORTEST_SECRET = 8  # characters; less would be found in any text
_secrets: set[str] = set()  # of this process


def keep_secret(*texts: str) -> None:
    """Let `redact` cut these texts, too, also where no URL surrounds them."""
    _secrets.update(form for text in texts if len(text) >= _SHORTEST_SECRET for form in (text, quote(text, safe="")))


def keep_credential_secret(url: str) -> None:
    """Let `redact` cut the credentials of a URL wherever they stand: its query, and of this each signature or token."""
    query = urlsplit(url).query
    fields = parse_qsl(query)
    raw = [field.partition("=")[2] for field in query.split("&")]  # as it was sent, in whatever encoding
    values = [value for name, value in fields if _SECRET_FIELD.search(name)]
    keep_secret(query, unquote(query), *values, *(value for value in raw if unquote(value) in values))


def redact(text: str) -> str:
    """Return `text` (a URL, or any text with URLs in it) without queries, fragments, user names and what is kept secret."""
    return without_secrets(_USER_INFO.sub("", _WORD.sub(lambda word: _without_query(word[0]), text)))


def _without_query(word: str) -> str:
    """Return what of a word of free text is before a query: too much is cut rather than too little."""
    if _ENCODED_URL.search(word):
        return _ENCODED_END.split(word, maxsplit=1)[0]
    if "://" in word:
        word = re.split("[?#]", word, maxsplit=1)[0]
    head, *found = _QUESTION_MARK.split(word, maxsplit=1)
    if not found:
        return word
    mark, query = found
    is_query = _EQUALS.search(query) or (mark == "?" and query and "/" in head)
    return head if is_query else word


def without_secrets(text: str) -> str:
    """Return `text` without what `keep_secret` was told."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text


def redact_url(url: str) -> str:
    """Return `url`, which is exactly one URL, without query, fragment and user name.

    Unlike in free text it is known where the query ends, also with spaces and quotes in it.
    """
    return _ANY_USER_INFO.sub("", re.split("[?#]", url, maxsplit=1)[0])


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
