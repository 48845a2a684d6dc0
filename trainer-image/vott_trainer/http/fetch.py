"""One HTTP download: to a file, with retries, a size limit, and a reason in words when it fails."""

import secrets
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

import requests
from urllib3.exceptions import LocationValueError

from vott_guard.client import TooLargeError, chunks, status_text
from vott_guard.retry_after import retry_after_seconds
from vott_guard.rules import RefusedError
from vott_trainer.http.image_cache import Cache
from vott_trainer.http.outgoing import TIMEOUT, Session
from vott_trainer.http.retry import PASSING_STATUS, AttemptError, Backoff, retry

MAX_RETRY_AFTER_SECONDS = 60.0

# requests lets urllib3's error through for a host with an empty or too long label.
INVALID_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    LocationValueError,
    UnicodeError,
)

_WORDS: tuple[tuple[tuple[type[Exception], ...], str, bool], ...] = (
    ((requests.Timeout,), f"no answer within {TIMEOUT[1]:.0f} seconds", True),
    ((*INVALID_URL, requests.TooManyRedirects), "the URL is not valid or redirects without end", False),
    ((requests.exceptions.SSLError,), "the server's certificate is not trusted", False),
    ((requests.exceptions.ContentDecodingError,), "the answer's compression is broken or unusual", False),
)

Headers = Mapping[str, str]


class FetchError(AttemptError):
    """A download failed."""


class NotAllowedError(FetchError):
    """The administrator's rules do not allow the URL, or the address that it leads to."""


def download(
    session: Session, url: str, path: Path, *, limit: int, backoff: Backoff, cache: Cache | None = None
) -> bool:
    """Write what `url` returns to `path`, atomically: the file is complete or it does not exist.

    Args:
        limit: the most bytes accepted.
        cache: where a content that the store says has not changed is taken from, and what comes is put.

    Returns:
        whether the content came from the cache.

    Raises:
        NotAllowedError: the administrator's rules refuse the address.
        FetchError: the store refused, too large, too slow, or still failing after the last attempt.
    """
    # A volume may be shared by several pods, which fetch the same.
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")

    def get(conditions: Headers) -> Headers | None:
        return retry(lambda: _get(session, url, partial, limit, conditions), backoff)

    try:
        cached = _fetch(get, url, partial, cache)
        partial.replace(path)
        return cached
    finally:
        partial.unlink(missing_ok=True)


def _fetch(get: Callable[[Headers], Headers | None], url: str, path: Path, cache: Cache | None) -> bool:
    """Ask the store, with what the cache knows; its 304 lets the cache serve."""
    entry = cache.find(url) if cache else None
    headers = get(entry.conditions() if entry else {})
    if cache and entry and headers is None:
        if cache.copy(url, entry, path):
            return True
        headers = get({})
    if cache and headers is not None:
        cache.add(url, path, headers)
    return False


def _get(session: Session, url: str, path: Path, limit: int, conditions: Headers) -> Headers | None:
    """Fetch once; return the answer's headers, or None where the content is still what the `conditions` speak of."""
    start = time.monotonic()
    try:
        return _ask(session, url, path, limit, conditions)
    except RefusedError as error:
        raise NotAllowedError(str(error), passing=False) from error
    except TooLargeError as error:
        raise FetchError(f"larger than the limit of {limit >> 20} MiB", passing=False) from error
    except (requests.RequestException, *INVALID_URL) as error:
        if time.monotonic() - start >= session.seconds:  # nor would another attempt be quicker
            raise FetchError(f"not complete within {session.seconds:.0f} seconds", passing=False) from error
        raise _explained(error) from error


def _ask(session: Session, url: str, path: Path, limit: int, conditions: Headers) -> Headers | None:
    with session.get(url, stream=True, timeout=TIMEOUT, headers=conditions) as response:
        if conditions and response.status_code == HTTPStatus.NOT_MODIFIED:
            return None
        _check_status(response)
        with path.open("wb") as file:
            file.writelines(chunks(response, limit))
        return response.headers


def _explained(error: Exception) -> FetchError:
    for kinds, words, passing in _WORDS:
        if isinstance(error, kinds):
            return FetchError(words, passing=passing)
    return FetchError("the server can't be reached or broke off", passing=True)


def _check_status(response: requests.Response) -> None:
    if response.status_code == HTTPStatus.OK:
        return
    passing = response.status_code in PASSING_STATUS
    retry_after = retry_after_seconds(response.headers.get("Retry-After"), MAX_RETRY_AFTER_SECONDS)
    raise FetchError(f"HTTP {status_text(response.status_code)}", passing=passing, retry_after=retry_after or 0.0)
