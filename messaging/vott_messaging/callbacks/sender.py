"""The HTTP client of callbacks: held to the administrator's rules, signed if there are keys.

Headers: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import json
import time
from collections.abc import Mapping
from typing import Any, Self

import requests

from vott_guard.client import GuardedSession, status_text
from vott_guard.redaction import redact_url
from vott_guard.retry_after import retry_after_seconds
from vott_guard.rules import RefusedError, Rules
from vott_messaging.callbacks.daemon_threads import DaemonThreads
from vott_messaging.callbacks.signing_key_files import read_signing_keys
from vott_messaging.errors import CallbackError, SettingsError
from vott_messaging.settings.callbacks import CallbackSettings

MAX_RETRY_AFTER_SECONDS = 3600.0


class CallbackSender:
    """Posts callbacks. Use it as an async context manager.

    A slow receiver occupies one of `workers` threads, for `callbacks.timeoutSeconds` plus the time of the DNS lookup.
    """

    def __init__(self, settings: CallbackSettings, rules: Rules, *, workers: int = 1) -> None:
        self._settings = settings
        self._session = GuardedSession(rules, seconds=settings.timeout_seconds, workers=workers)
        self._threads = DaemonThreads(workers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._session.close()

    async def send(self, url: str, webhook_id: str, body: Mapping[str, Any], traceparent: str = "") -> None:
        """Make one attempt, in a trace if `traceparent` is given. Raises CallbackError, which shows the URL without its query."""
        data = json.dumps(body).encode()
        await self._threads.run(lambda: self._post(url, webhook_id, data, traceparent))

    def _post(self, url: str, webhook_id: str, body: bytes, traceparent: str) -> None:
        receiver = redact_url(url)
        headers = {"Content-Type": "application/json", "User-Agent": "vott-train"}
        if traceparent:
            headers["traceparent"] = traceparent
        try:
            keys = read_signing_keys(self._settings.signing_dir)
            response = self._session.post(
                url,
                data=body,
                headers=headers | keys.headers(webhook_id, int(time.time()), body),
                timeout=self._settings.timeout_seconds,
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
            raise CallbackError(f"{receiver} did not answer ({type(error).__name__})", permanent=False) from None
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
