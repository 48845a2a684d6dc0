"""One HTTP download: to a file, with retries, a size limit, and a reason in words when it fails."""

import secrets
from http import HTTPStatus
from pathlib import Path

import requests
from urllib3.exceptions import LocationValueError

from vott_trainer.retry import PASSING_STATUS, AttemptError, Backoff, retry

TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds between two reads
CHUNK = 1 << 16
LONGEST_RETRY_AFTER = 60.0

# requests lets urllib3's error through for a host with an empty or too long label.
INVALID_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    LocationValueError,
    UnicodeError,
)


class FetchError(AttemptError):
    """A download failed."""


def download(session: requests.Session, url: str, path: Path, *, limit: int, backoff: Backoff) -> None:
    """Write what `url` returns to `path`, atomically: the file is complete or it does not exist.

    Args:
        limit: the most bytes accepted.

    Raises:
        FetchError: refused, too large, or still failing after the last attempt.
    """
    retry(lambda: _download_once(session, url, path, limit), backoff)


def _download_once(session: requests.Session, url: str, path: Path, limit: int) -> None:
    # A volume may be shared by several pods, which fetch the same.
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with session.get(url, stream=True, timeout=TIMEOUT) as response:
            _check_status(response)
            _write(response, partial, limit)
        partial.replace(path)
    except requests.Timeout as error:
        raise FetchError(f"no answer within {TIMEOUT[1]:.0f} seconds", passing=True) from error
    except (*INVALID_URL, requests.TooManyRedirects) as error:
        raise FetchError("the URL is not valid or redirects without end", passing=False) from error
    except requests.exceptions.SSLError as error:
        raise FetchError("the server's certificate is not trusted", passing=False) from error
    except requests.RequestException as error:
        raise FetchError("the server can't be reached or broke off", passing=True) from error
    finally:
        partial.unlink(missing_ok=True)


def _check_status(response: requests.Response) -> None:
    if response.status_code == HTTPStatus.OK:
        return
    passing = response.status_code in PASSING_STATUS
    raise FetchError(describe_status(response), passing=passing, retry_after=_retry_after(response))


def describe_status(response: requests.Response) -> str:
    """Return the status in words: `HTTP 403 Forbidden`."""
    try:
        phrase = HTTPStatus(response.status_code).phrase
    except ValueError:
        phrase = "(unknown status)"
    return f"HTTP {response.status_code} {phrase}"


def _retry_after(response: requests.Response) -> float:
    seconds = response.headers.get("Retry-After", "")
    return min(float(seconds), LONGEST_RETRY_AFTER) if seconds.isdecimal() else 0.0


def _write(response: requests.Response, path: Path, limit: int) -> None:
    size = 0
    with path.open("wb") as file:
        for chunk in response.iter_content(CHUNK):
            size += len(chunk)
            if size > limit:
                raise FetchError(f"larger than the limit of {limit >> 20} MiB", passing=False)
            file.write(chunk)
