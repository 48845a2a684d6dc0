"""The last word to a callback URL: what is posted, and the sender.

Payload: the first VoTT-train's six fields, and job, state and message beside them. Headers: Standard Webhooks
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from .errors import CallbackError
from .models import Progress
from .notes import Outcome
from .settings import CallbackSettings
from .urls import check_http_url, without_credentials

MAX_RETRY_AFTER_SECONDS = 3600.0


def payload(job: str, state: Outcome, message: str, progress: Progress | None) -> dict[str, Any]:
    """The body of a terminal callback. `progress` is the trainer's last word on how far it came; None before its first."""
    known = progress or Progress()
    fraction = 1.0 if state == "succeeded" else (known.percent or 0) / 100
    return {
        "progress": fraction,
        "epoch_current": known.epoch_current or 0,
        "epoch_total": known.epoch_total or 0,
        "step_current": known.step_current or 0,
        "step_total": known.step_total or 0,
        "classification_loss": known.classification_loss,
        "job": job,
        "state": state,
        "message": message,
    }


class CallbackSender:
    """Sends callbacks by the administrator's rules. Use it as an async context manager."""

    def __init__(self, settings: CallbackSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # trust_env=False: no proxy from the environment; DummyCookieJar: nothing is remembered between receivers.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, url: str, webhook_id: str, body: Mapping[str, Any]) -> None:
        """One attempt. Raises CallbackError, whose text shows the URL without its query."""
        assert self._session is not None, "use CallbackSender as a context manager"
        shown = without_credentials(url)
        self._check(url, shown)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "vott-train",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(time.time())),
        }
        try:
            async with self._session.post(
                url, data=json.dumps(body), headers=headers, allow_redirects=False
            ) as response:
                _raise_for_status(response, shown)
        except (aiohttp.InvalidURL, ValueError) as error:  # a host name that can't be one
            raise CallbackError(f"{shown} is not an address ({type(error).__name__})", permanent=True) from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            # The error's own text may hold the whole URL, so only its kind is told.
            raise CallbackError(f"{shown} did not answer ({type(error).__name__})", permanent=False) from None

    def _check(self, url: str, shown: str) -> None:
        try:
            check_http_url(url)
        except ValueError as error:
            raise CallbackError(f"{shown} {error}", permanent=True) from None
        if urlsplit(url).scheme == "http" and not self._settings.allow_http:
            raise CallbackError(
                f"{shown} is http, and callbacks go over https only. Use https, or have the administrator set callbacks.allowHttp.",
                permanent=True,
            )


def _raise_for_status(response: aiohttp.ClientResponse, shown: str) -> None:
    if 200 <= response.status < 300:
        return
    if 300 <= response.status < 400:
        raise CallbackError(
            f"{shown} answered {response.status}; redirects are not followed. Send the final address.", permanent=True
        )
    raise CallbackError(
        f"{shown} answered {response.status} {response.reason}",
        permanent=response.status == 410,  # Standard Webhooks: Gone means stop
        retry_after=_retry_after(response.headers.get("Retry-After")),
    )


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait by the Retry-After header (RFC 9110, section 10.2.3: seconds or a date)."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
