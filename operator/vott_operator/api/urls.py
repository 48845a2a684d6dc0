"""URLs from outside: what is accepted, and how they are shown.

A SAS or presigned URL carries its credential in the query, so nothing after the path is ever shown.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from vott_guard.redaction import redact_url
from vott_operator.api.constants import INITIAL_WEIGHTS

MAX_LENGTH = 8192
# Wider than https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, as other stores are.
NAME = re.compile(r"[A-Za-z0-9._-]*")
"""Of weights that the trainer has. Whatever else stands there is taken for a URL, and so kept out of sight."""
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]+")


def check_http_url(url: str) -> str:
    """Return `url` when it can be fetched with http(s); raise ValueError with a sentence when it can't."""
    return _check(url, ("http", "https"), "an http(s) URL", "use https://host/path")


def check_model_url(url: str) -> str:
    """Return `url` when a model can go there; raise ValueError with a sentence when it can't."""
    schemes, usage = ("http", "https", "s3"), "use https://host/path or s3://bucket/prefix"
    _check(url, schemes, "an http(s) or s3 URL", usage)
    parts = urlsplit(url)
    if parts.scheme == "s3" and (parts.query or parts.fragment or not BUCKET.fullmatch(parts.netloc)):
        raise ValueError("is no bucket's URL; use s3://bucket/prefix, with nothing behind the prefix")
    return url


def _check(url: str, schemes: tuple[str, ...], kind: str, usage: str) -> str:
    if len(url) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    if any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        raise ValueError("contains spaces or control characters; percent-encode them")
    parts = _split(url)
    if parts.scheme not in schemes:
        # Only the scheme is shown: what is no URL may be a credential.
        raise ValueError(f"is not {kind}{f' but {parts.scheme}:' if parts.scheme else ''}; {usage}")
    if not parts.hostname:
        raise ValueError(f"names no host; {usage}")
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


def weights_url(parameters: Mapping[str, Any]) -> str | None:
    """The URL among a training's parameters, that of the weights to begin with; None where they have a mere name, or there are none."""
    weights = parameters.get(INITIAL_WEIGHTS)
    return weights if isinstance(weights, str) and not NAME.fullmatch(weights) else None


def shows_credential(text: str) -> bool:
    """Whether a text that is for everyone's eyes has a URL in it that may carry a credential. Linear in its length."""
    links = (word.partition("://")[2] for word in text.split() if "://" in word)
    return any("?" in link or "#" in link or "@" in link.partition("/")[0] for link in links)


def has_credentials(url: str) -> bool:
    """Whether showing the whole URL could give access away: any query may be a SAS or a signature."""
    return url != redact_url(url)
