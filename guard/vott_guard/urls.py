"""Which text is a usable http(s) or s3 URL: one definition for messages, settings and the HTTP client. Pure."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True, slots=True)
class URLKind:
    """The schemes that a URL may have; `name` and `example` are for error messages."""

    schemes: tuple[str, ...]
    name: str
    example: str


MAX_FOLDER_LENGTH = 2000

HTTP = URLKind(("http", "https"), "an http(s) URL", "https://host/path")
HTTP_OR_S3 = URLKind((*HTTP.schemes, "s3"), "an http(s) or s3 URL", f"{HTTP.example} or s3://bucket/prefix")


class URLError(ValueError):
    """A text is not a usable URL. The message is a predicate with the remedy: "names no host; use https://host/path".

    It shows only the scheme of the URL, because a text that is not a URL may be a credential.
    """


class MalformedURLError(URLError):
    """A text can't be parsed as a URL: a port out of range, unbalanced brackets, characters that normalize to separators."""


def split_url(url: str, kind: URLKind = HTTP) -> SplitResult:
    """Split an absolute URL with a host.

    Raises:
        URLError: the text is not such a URL.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its own text may quote the URL
        raise MalformedURLError(f"is not a URL; use {HTTP.example}") from None
    if parts.scheme not in kind.schemes:
        found = f" but {parts.scheme}:" if parts.scheme else ""
        raise URLError(f"is not {kind.name}{found}; use {kind.example}")
    if not parts.hostname:
        raise URLError(f"names no host; use {kind.example}")
    return parts


def is_url(url: str, kind: URLKind = HTTP) -> bool:
    """Whether `split_url` accepts `url`."""
    try:
        split_url(url, kind)
    except URLError:
        return False
    return True


def check_folder(text: str) -> str:
    """Return a text that names a folder without a credential: an http(s) URL, or a path relative to one, such as `images` or `.`.

    Raises:
        URLError: the text is something else.
    """
    use = "use https://host/path, or a path such as images or ."
    if not text or len(text) > MAX_FOLDER_LENGTH or has_unsafe_characters(text):
        rule = f"1 to {MAX_FOLDER_LENGTH} characters, without control characters, backslashes and blanks around it"
        raise URLError(f"is not the name of a folder: send {rule}")
    if "?" in text or "#" in text:
        raise URLError("has a query or a #; remove it, and percent-encode a # in a name as %23")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise MalformedURLError(f"is not a URL; {use}") from None
    if parts.scheme or parts.netloc:
        try:
            parts = split_url(text)
        except URLError as error:
            raise URLError(f"{str(error).partition(';')[0]}; {use}") from None
    if has_user_info(parts):
        raise URLError("carries a user name or password before the host; remove it")
    return text


def has_unsafe_characters(url: str) -> bool:
    """Whether parsers may disagree about `url`: control characters, backslashes, white space around it."""
    return any(ord(char) < 0x20 or ord(char) == 0x7F or char == "\\" for char in url) or url != url.strip()


def has_user_info(parts: SplitResult) -> bool:
    """Whether a user name or password precedes the host (RFC 3986, section 3.2.1)."""
    return "@" in parts.netloc
