"""One download to a file: retries, a size limit, the image cache, and errors that name the cause."""

import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import requests
from urllib3.exceptions import LocationValueError

from vott_guard.client import TooLargeError, chunks, status_text
from vott_guard.retry_after import retry_after_seconds
from vott_guard.rules import RefusedError
from vott_trainer.atomic_write import partial_path
from vott_trainer.http.image_cache import ImageCache
from vott_trainer.http.retry import TRANSIENT_STATUS, AttemptError, RetryPolicy, retry
from vott_trainer.http.session import TIMEOUT, Session

T = TypeVar("T")

MAX_RETRY_AFTER_SECONDS = 60.0
NOT_FOUND = f"HTTP {status_text(HTTPStatus.NOT_FOUND)}"

# requests lets urllib3's error through for a host with an empty or too long label.
INVALID_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    LocationValueError,
    UnicodeError,
)

_CAUSES: tuple[tuple[tuple[type[Exception], ...], str, bool], ...] = (
    ((requests.Timeout,), f"no answer within {TIMEOUT[1]:.0f} seconds", True),
    ((*INVALID_URL, requests.TooManyRedirects), "the URL is not valid or redirects without end", False),
    ((requests.exceptions.SSLError,), "the server's certificate is not trusted", False),
    ((requests.exceptions.ContentDecodingError,), "the response's content encoding is invalid or unusual", False),
)
"""Error types, the cause they stand for, and whether it is transient."""

Headers = Mapping[str, str]


class FetchError(AttemptError):
    """A download failed; `remedy` says what to do about several of the kind."""

    remedy = "check that these links are valid and not expired"


class NotAllowedError(FetchError):
    """The administrator's rules refuse the URL or its address."""


class OwnIdentityError(FetchError):
    """The administrator's own identity can't read a URL."""

    remedy = "check these URLs, or ask the administrator to let the trainer's own identity read there"


def download(
    session: Session, url: str, path: Path, *, limit: int, policy: RetryPolicy, cache: ImageCache | None = None
) -> bool:
    """Download `url` to `path`, atomically: the file is complete or does not exist.

    Args:
        limit: the most bytes accepted.
        cache: serves content that the server reports as unchanged, and keeps what is downloaded.

    Returns:
        whether the content came from the cache.

    Raises:
        NotAllowedError: the administrator's rules refuse the address.
        FetchError: the server refused, the content is too large or too slow, or the last attempt failed.
    """
    partial = partial_path(path, unique=True)  # several pods may download the same file to a shared volume

    def get(conditions: Headers) -> Headers | None:
        return retry(lambda: _get(session, url, partial, limit, conditions), policy)

    try:
        from_cache = _get_or_copy(get, url, partial, cache)
        partial.replace(path)
        return from_cache
    finally:
        partial.unlink(missing_ok=True)


def first_usable(urls: Sequence[str], get: Callable[[str], T]) -> T:
    """Return what `get` returns for the first of a file's possible URLs that it can use.

    Raises:
        FetchError: it can use none. A temporary failure comes first, for the file may be there; then what says more than that it is not.
    """
    errors: list[FetchError] = []
    for url in urls:
        try:
            return get(url)
        except FetchError as error:
            errors.append(error)
    worst = min(errors, key=lambda error: (not error.transient, str(error) == NOT_FOUND))
    if len(urls) > 1 and {str(error) for error in errors} == {str(worst)} and not worst.transient:
        worst.args = (f"{worst}, also under other readings of its name",)
    raise worst


def _get_or_copy(get: Callable[[Headers], Headers | None], url: str, path: Path, cache: ImageCache | None) -> bool:
    """Make a conditional request; on 304 copy from the cache. Return whether it was copied."""
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
    """Make one attempt; return the response's headers, or None for 304 Not Modified."""
    start = time.monotonic()
    try:
        return _request(session, url, path, limit, conditions)
    except RefusedError as error:
        raise NotAllowedError(str(error), transient=False) from error
    except TooLargeError as error:
        raise FetchError(f"larger than the limit of {limit >> 20} MiB", transient=False) from error
    except (requests.RequestException, *INVALID_URL) as error:
        if time.monotonic() - start >= session.seconds:  # another attempt would not be faster
            raise FetchError(f"not complete within {session.seconds:.0f} seconds", transient=False) from error
        raise _fetch_error(error) from error


def _request(session: Session, url: str, path: Path, limit: int, conditions: Headers) -> Headers | None:
    signed = session.signed(url)
    with session.read(url, conditions, signed) as response:
        if conditions and response.status_code == HTTPStatus.NOT_MODIFIED:
            return None
        _check_status(response, is_signed=signed is not None)
        with path.open("wb") as file:
            file.writelines(chunks(response, limit))
        return response.headers


def _fetch_error(error: Exception) -> FetchError:
    for types, cause, transient in _CAUSES:
        if isinstance(error, types):
            return FetchError(cause, transient=transient)
    return FetchError("the server can't be reached or closed the connection", transient=True)


def _check_status(response: requests.Response, *, is_signed: bool) -> None:
    status = response.status_code
    if status == HTTPStatus.OK:
        return
    if is_signed and status not in TRANSIENT_STATUS:
        raise OwnIdentityError(f"HTTP {status_text(status)} for the trainer's own identity", transient=False)
    retry_after = retry_after_seconds(response.headers.get("Retry-After"), MAX_RETRY_AFTER_SECONDS) or 0.0
    raise FetchError(f"HTTP {status_text(status)}", transient=status in TRANSIENT_STATUS, retry_after=retry_after)
