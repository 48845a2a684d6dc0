"""URLs of messages and settings: which are accepted, and which texts show a credential. Pure."""

import re
from urllib.parse import urlsplit

from vott_guard.urls import HTTP, HTTP_OR_S3, URLKind, has_unsafe_characters, has_user_info, split_url

MAX_LENGTH = 8192
ESCAPED_AMPERSAND = re.compile("&(?:amp|#0*38|#[xX]0*26);")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]+")
"""As other stores allow, wider than https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html."""


def check_http_url(url: str) -> str:
    """Return `url` if it can be fetched over http(s). Raises ValueError with a predicate, such as "names no host; ..."."""
    return _check(url, HTTP)


def check_store_url(url: str) -> str:
    """Return `url` if a model can be uploaded there, or data read. Raises ValueError as `check_http_url` does."""
    _check(url, HTTP_OR_S3)
    parts = urlsplit(url)
    if parts.scheme == "s3" and (parts.query or parts.fragment or not BUCKET.fullmatch(parts.netloc)):
        raise ValueError("is not a bucket URL; use s3://bucket/prefix, without query or fragment")
    return url


def _check(url: str, kind: URLKind) -> str:
    if len(url) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    if " " in url or has_unsafe_characters(url):
        raise ValueError("contains spaces, control characters or backslashes; percent-encode them")
    if escape := ESCAPED_AMPERSAND.search(url):
        raise ValueError(f'contains "{escape[0]}", XML\'s escape of "&"; send the URL without escapes')
    if "#" in url:
        raise ValueError('has a "#", at which a URL ends; percent-encode it as %23, or remove what follows')
    if has_user_info(split_url(url, kind)):
        raise ValueError("carries a user name or password before the host; use a SAS or presigned URL instead")
    return url


def shows_credential(text: str) -> bool:
    """Whether a text contains a URL that may carry a credential. Linear in the text's length."""
    links = (word.partition("://")[2] for word in text.split() if "://" in word)
    return any("?" in link or "#" in link or "@" in link.partition("/")[0] for link in links)
