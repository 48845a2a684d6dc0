"""The callback URL as a receiver of reports.

Headers follow https://www.standardwebhooks.com. The trainer has no signing key: where callbacks are signed, the operator posts them.
"""

import time
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import requests

from vott_guard.callback_payload import CallbackBody, CallbackState
from vott_guard.client import status_text
from vott_guard.retry_after import retry_after_seconds
from vott_guard.rules import RefusedError
from vott_guard.webhooks import Keys
from vott_trainer.http.retry import TRANSIENT_STATUS, AttemptError, RetryPolicy, retry
from vott_trainer.http.session import Session
from vott_trainer.progress.reporter import UnsubscribedError
from vott_trainer.progress.snapshot import Snapshot

POST_SECONDS = 10.0  # for a post and its answer
TIMEOUT = (5.0, 10.0)  # seconds to connect, to read
MAX_RETRY_AFTER_SECONDS = 60.0
OUTCOME = RetryPolicy(attempts=3)


class CallbackError(AttemptError):
    """A post was not delivered; the text does not show the URL."""


@dataclass
class Callback:
    """Posts snapshots to one URL; `job` names the training in the posts."""

    url: str
    job: str
    session: Session = field(default_factory=lambda: Session(POST_SECONDS))
    name: str = "the callback"

    def send(self, snapshot: Snapshot) -> None:
        """Post one report of the running training.

        Raises:
            CallbackError: it was not delivered.
            UnsubscribedError: the receiver answered 410 Gone, or the administrator's rules refuse the URL.
        """
        self._post(payload(snapshot, self.job, "running", snapshot.message), _new_id())

    def post_outcome(self, snapshot: Snapshot, state: CallbackState, message: str) -> None:
        """Post the last report, in up to three attempts; raises as `send` does."""
        body, webhook_id = payload(snapshot, self.job, state, message), _new_id()
        retry(lambda: self._post(body, webhook_id), OUTCOME)

    def _post(self, body: dict[str, Any], webhook_id: str) -> None:
        """Post once. The response's body, of any size, is not read."""
        headers = Keys().headers(webhook_id, int(time.time()), b"")
        options: dict[str, Any] = {"timeout": TIMEOUT, "allow_redirects": False, "stream": True}
        try:
            with self.session.post(self.url, json=body, headers=headers, **options) as response:
                _raise_for_status(response)
        except RefusedError as error:
            raise UnsubscribedError(str(error)) from error
        except requests.RequestException as error:
            raise CallbackError(f"it can't be reached ({type(error).__name__})", transient=True) from error


def _raise_for_status(response: requests.Response) -> None:
    status = response.status_code
    if status == HTTPStatus.GONE:
        raise UnsubscribedError(f"HTTP {status_text(status)}")
    if not 200 <= status < 300:
        retry_after = retry_after_seconds(response.headers.get("Retry-After"), MAX_RETRY_AFTER_SECONDS) or 0.0
        raise CallbackError(
            f"HTTP {status_text(status)}", transient=status in TRANSIENT_STATUS, retry_after=retry_after
        )


def _new_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


def payload(snapshot: Snapshot, job: str, state: CallbackState, message: str) -> dict[str, Any]:
    """Return the body of one post."""
    return CallbackBody(
        job=job,
        state=state,
        message=message,
        progress=snapshot.fraction,
        epoch_current=snapshot.epoch_current,
        epoch_total=snapshot.epoch_total,
        step_current=snapshot.step_current,
        step_total=snapshot.step_total,
        classification_loss=snapshot.classification_loss,
    ).to_json()
