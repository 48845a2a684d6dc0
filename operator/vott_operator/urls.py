"""URLs from outside: what is accepted, and how they are shown.

A SAS or presigned URL carries its credential in the query, so nothing after the path is ever shown.
"""

from urllib.parse import SplitResult, urlsplit

MAX_LENGTH = 8192


def check_http_url(url: str) -> str:
    """Return `url` when it can be fetched with http(s); raise ValueError with a sentence when it can't."""
    if len(url) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    if any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        raise ValueError("contains spaces or control characters; percent-encode them")
    parts = _split(url)
    if parts.scheme not in ("http", "https"):
        # Only the scheme is shown: what is no URL may be a credential.
        raise ValueError(
            f"is not an http(s) URL{f' but {parts.scheme}:' if parts.scheme else ''}; use https://host/path"
        )
    if not parts.hostname:
        raise ValueError("names no host; use https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("carries a user name or password before the host; use a SAS or presigned URL instead")
    return url


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its own text may show a part of the URL
        raise ValueError("is not a URL; use https://host/path") from None
    return parts


def without_credentials(url: str) -> str:
    """The URL as it may be shown: without user info, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(unreadable URL)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def has_credentials(url: str) -> bool:
    """Whether showing the whole URL could give access away: any query may be a SAS or a signature."""
    return url != without_credentials(url)
