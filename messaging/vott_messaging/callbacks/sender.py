"""The HTTP client of callbacks: held to the administrator's rules, signed if there are keys.

Headers: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Self

import requests

from vott_guard.client import GuardedSession, status_text
from vott_guard.redaction import webhook_origin
from vott_guard.retry_after import retry_after_seconds
from vott_guard.rules import RefusedError, Rules
from vott_guard.urls import URLError, split_url
from vott_messaging.callbacks.daemon_threads import run_in_daemon_thread
from vott_messaging.callbacks.host_limits import MAX_PER_HOST, Attempt, HostLimits, Permit
from vott_messaging.callbacks.signing_key_files import read_signing_keys
from vott_messaging.errors import CallbackError, PostponedError, SettingsError, UnansweredError
from vott_messaging.settings.callbacks import CallbackSettings

MAX_RETRY_AFTER_SECONDS = 3600.0
PHASES = 3
"""Of an attempt, each with its own time limit: lookup and connection, TLS, request and answer. The lookup itself can't be stopped."""
GRACE_SECONDS = 1.0

DEFAULT_PORTS = {"http": 80, "https": 443}

Result = Literal["delivered", "refused", "failed", "unanswered"]

# At DEBUG it logs the path of each request, which may be a webhook's credential.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


class CallbackSender:
    """Posts callbacks. Use it as an async context manager.

    At most `workers` at a time, each in a thread of its own, and few for one host: see HostLimits.
    """

    def __init__(self, settings: CallbackSettings, rules: Rules, *, workers: int = 1) -> None:
        self._settings = settings
        self.limits = HostLimits(workers)
        self.results: Counter[Result] = Counter()
        """Attempts since the start, by result."""
        self._session = GuardedSession(
            rules, seconds=settings.timeout_seconds, workers=min(workers, MAX_PER_HOST), hosts=workers
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._session.close()

    async def send(
        self,
        url: str,
        webhook_id: str,
        body: Mapping[str, Any],
        attempt: Attempt = Attempt.FIRST,
        wait_seconds: float | None = None,
        traceparent: str = "",
    ) -> None:
        """Make one attempt. Raises CallbackError, which shows only the URL's scheme and host.

        Args:
            url: the callback.
            webhook_id: the same for each attempt at this post.
            body: the post.
            attempt: which attempt at the post it is.
            wait_seconds: how long the attempt may wait for its turn; then PostponedError is raised. Default: without a limit.
            traceparent: the trace of the post, if it is in one.
        """
        data = json.dumps(body).encode()
        permit = await self._acquire(url, attempt, wait_seconds)
        timeout = min(self._settings.timeout_seconds, permit.seconds)
        try:
            ended = run_in_daemon_thread(lambda: self._post(url, webhook_id, data, timeout, traceparent))
        except RuntimeError as error:  # too many threads in this pod
            self.limits.release(permit)
            raise CallbackError(f"No callback was sent to {webhook_origin(url)}: {error}", permanent=False) from None
        ended.add_done_callback(partial(self._end, permit))
        await asyncio.wait({ended}, timeout=PHASES * self._settings.timeout_seconds + GRACE_SECONDS)
        if not ended.done():
            self.limits.record(permit, answered=False)
            raise UnansweredError(f"{webhook_origin(url)} did not answer: the lookup of its name takes too long")
        ended.result()

    async def _acquire(self, url: str, attempt: Attempt, wait_seconds: float | None) -> Permit:
        try:
            async with asyncio.timeout(wait_seconds):
                return await self.limits.acquire(_host(url), attempt)
        except TimeoutError:
            text = f"{webhook_origin(url)} was not tried yet: its host, or many others, did not answer"
            raise PostponedError(text) from None

    def _end(self, permit: Permit, ended: "asyncio.Future[None]") -> None:
        """Record the end of an attempt, also of one that nobody waits for any more."""
        error = ended.exception()
        self.limits.record(permit, answered=not isinstance(error, UnansweredError))
        self.limits.release(permit)
        self.results[_result(error)] += 1

    def _post(self, url: str, webhook_id: str, body: bytes, timeout: float, traceparent: str) -> None:
        receiver = webhook_origin(url)
        headers = {"Content-Type": "application/json", "User-Agent": "vott-train"}
        if traceparent:
            headers["traceparent"] = traceparent
        try:
            keys = read_signing_keys(self._settings.signing_dir)
            response = self._session.post(
                url,
                data=body,
                headers=headers | keys.headers(webhook_id, int(time.time()), body),
                timeout=timeout,
                allow_redirects=False,
                stream=True,  # the response's body, of any size, is not read
            )
        except SettingsError as error:
            raise CallbackError(f"No callback was sent to {receiver}: {error}", permanent=False) from None
        except RefusedError as error:
            # Permanent, even if only the connection showed the address: retrying lets a sender re-point the name and probe the cluster.
            text = f"No callback was sent to {receiver}: {str(error).rstrip('.')}"
            raise CallbackError(text, permanent=True) from None
        except (requests.exceptions.InvalidURL, UnicodeError) as error:  # an impossible host name
            raise CallbackError(f"{receiver} is not a valid URL ({type(error).__name__})", permanent=True) from None
        except Exception as error:  # also errors that no library foresees for a hostile response
            # The error's text and traceback may show the whole URL.
            raise UnansweredError(f"{receiver} did not answer ({type(error).__name__})") from None
        with response:
            _raise_for_status(response, receiver)


def _raise_for_status(response: requests.Response, receiver: str) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise CallbackError(
            f"{receiver} answered {status}; redirects are not followed. Send the final URL", permanent=True
        )
    raise CallbackError(
        f"{receiver} answered {status_text(status)}",
        permanent=status == 410,  # Standard Webhooks: the receiver has unsubscribed
        retry_after=retry_after_seconds(response.headers.get("Retry-After"), MAX_RETRY_AFTER_SECONDS),
    )


def _host(url: str) -> str:
    """Return what an attempt's limits apply to: scheme, name and port. A URL that is not one is refused without a request."""
    try:
        parts = split_url(url)
    except URLError:
        return ""
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _result(error: BaseException | None) -> Result:
    if error is None:
        return "delivered"
    if isinstance(error, UnansweredError):
        return "unanswered"
    return "refused" if isinstance(error, CallbackError) and error.permanent else "failed"
