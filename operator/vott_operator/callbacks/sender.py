"""Callbacks: what is posted, and the sender, which keeps to the administrator's rules and signs where there are keys.

Payload: the first VoTT-train's six fields, and job, state and message beside them. Headers: Standard Webhooks
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any, Self

import requests

from vott_guard.client import GuardedSession
from vott_guard.redaction import redact_url
from vott_guard.rules import RefusedError, Rules
from vott_guard.webhooks import Keys
from vott_operator.api.status import Progress
from vott_operator.decisions.outcome import CallbackState
from vott_operator.errors import CallbackError, SettingsError
from vott_operator.settings.callbacks import CallbackSettings

MAX_RETRY_AFTER_SECONDS = 3600.0
KEY_FILES = ("current", "previous")


def payload(job: str, state: CallbackState, message: str, progress: Progress | None) -> dict[str, Any]:
    """The body of a callback. `progress` is the trainer's last word on how far it came; None before its first."""
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


def read_keys(folder: Path | None) -> Keys:
    """The keys of a mounted Secret, the newest first, as they are now; none where there is no folder.

    Raises SettingsError, which does not show them.
    """
    if folder is None:
        return Keys()
    try:
        keys = Keys.parse("\n".join(_text(folder / name) for name in KEY_FILES))
    except ValueError as error:
        raise SettingsError(f"callbacks.signing: {error} (in {folder})") from None
    if not keys.keys:
        raise SettingsError(f"callbacks.signing: there is no key in {folder}; put one into the Secret's key `current`")
    return keys


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:  # it is a ValueError, and its text shows what it read
        raise ValueError(f"{file.name} is not text") from None
    except OSError as error:
        raise ValueError(f"{file.name} can't be read: {error.strerror}") from None


class CallbackSender:
    """Sends callbacks by the administrator's rules. Use it as an async context manager.

    It posts from `workers` threads of its own. All that a slow receiver holds is one of them, for `callbacks.timeoutSeconds`
    (and for as long as its name takes to be looked up).
    """

    def __init__(self, settings: CallbackSettings, rules: Rules, *, workers: int = 1) -> None:
        self._settings = settings
        self._session = GuardedSession(rules, seconds=settings.timeout_seconds, workers=workers)
        self._threads = _Threads(workers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._session.close()

    async def send(self, url: str, webhook_id: str, body: Mapping[str, Any]) -> None:
        """One attempt. Raises CallbackError, whose text shows the URL without its query."""
        data = json.dumps(body).encode()
        await self._threads.run(lambda: self._post(url, webhook_id, data))

    def _post(self, url: str, webhook_id: str, body: bytes) -> None:
        shown = redact_url(url)
        headers = {"Content-Type": "application/json", "User-Agent": "vott-train"}
        try:
            headers |= read_keys(self._settings.signing_dir).headers(webhook_id, int(time.time()), body)
            answer = self._session.post(
                url,
                data=body,
                headers=headers,
                timeout=self._settings.timeout_seconds,
                allow_redirects=False,
                stream=True,  # nobody reads what it answers, however much that is
            )
        except SettingsError as error:
            raise CallbackError(f"{shown} was not asked, for it can't be signed: {error}", permanent=False) from None
        except RefusedError as error:
            raise _refused(url, error) from None
        except (requests.exceptions.InvalidURL, UnicodeError) as error:  # a host name that can't be one
            raise CallbackError(f"{shown} is not an address ({type(error).__name__})", permanent=True) from None
        except Exception as error:  # also what no library foresaw of a hostile answer
            # The error's own text, and its traceback, may hold the whole URL, so only its kind is told.
            raise CallbackError(f"{shown} did not answer ({type(error).__name__})", permanent=False) from None
        with answer:
            _raise_for_status(answer, shown)


class _Threads:
    """At most so many threads at once, for which the end of the process does not wait, as it does for an executor's.

    What was on its way then is told again after a restart, as nobody recorded it.
    """

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(self, call: Callable[[], None]) -> None:
        """Call it in a thread, which a cancellation does not end: until then it counts."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        Thread(target=self._call, args=(call, loop, ended), name="callback", daemon=True).start()
        await ended

    def _call(self, call: Callable[[], None], loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]) -> None:
        error: Exception | None = None
        try:
            call()
        except Exception as caught:  # whoever waits gets it
            error = caught
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._end, ended, error)

    def _end(self, ended: asyncio.Future[None], error: Exception | None) -> None:
        self._free.release()
        if ended.cancelled():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)


def _refused(url: str, error: RefusedError) -> CallbackError:
    """For good, also where the address showed only on connecting.

    Whoever has a name for the cluster's inside may change it at any time: trying again would be to let him try for a day.
    """
    return CallbackError(f"{redact_url(url)} was not asked. {str(error).rstrip('.')}", permanent=True)


def _raise_for_status(answer: requests.Response, shown: str) -> None:
    status = answer.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise CallbackError(
            f"{shown} answered {status}; redirects are not followed. Send the final address", permanent=True
        )
    raise CallbackError(
        f"{shown} answered {status} {_phrase(status)}".rstrip(),
        permanent=status == 410,  # Standard Webhooks: Gone means stop
        retry_after=_retry_after(answer.headers.get("Retry-After")),
    )


def _phrase(status: int) -> str:
    """The status in words: the standard's, for the receiver's own may be any text of any length."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait by the Retry-After header (RFC 9110, section 10.2.3: seconds or a date)."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
