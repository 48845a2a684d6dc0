"""The callback URL as a receiver of reports: the first VoTT-train's six fields, and three more.

Headers follow https://www.standardwebhooks.com; the trainer holds no secret, so its posts carry no signature.
"""

import time
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import requests

from vott_guard.rules import RefusedError
from vott_trainer.http import outgoing
from vott_trainer.http.fetch import describe_status
from vott_trainer.progress.reporter import ReceiverGoneError
from vott_trainer.progress.snapshot import Snapshot

SECONDS = 10.0  # for a post and its answer
TIMEOUT = (5.0, 10.0)  # seconds to connect, to read


class CallbackError(Exception):
    """A post did not arrive; the text does not show the URL."""


@dataclass
class Callback:
    """Posts snapshots to one URL; `job` is how the posts call this training."""

    url: str
    job: str
    session: outgoing.Session = field(default_factory=lambda: outgoing.Session(SECONDS))
    name: str = "the callback"

    def send(self, snapshot: Snapshot) -> None:
        """Post one report of the running training.

        Raises:
            CallbackError: it did not arrive.
            ReceiverGoneError: the receiver answered 410 Gone, or is where the administrator's rules let nobody post.
        """
        self.post(snapshot, "running", snapshot.message)

    def post(self, snapshot: Snapshot, state: str, message: str) -> None:
        """Post a report with a given state (running, succeeded, failed); raises as `send` does."""
        response = self._answer(payload(snapshot, self.job, state, message))
        if response.status_code == HTTPStatus.GONE:
            raise ReceiverGoneError(describe_status(response))
        if not HTTPStatus(200) <= response.status_code < HTTPStatus(300):
            raise CallbackError(describe_status(response))

    def _answer(self, body: dict[str, Any]) -> requests.Response:
        """Post; return the answer without its body, of which a receiver could make the trainer read any amount."""
        headers = {"webhook-id": f"msg_{uuid.uuid4().hex}", "webhook-timestamp": str(int(time.time()))}
        options: dict[str, Any] = {"timeout": TIMEOUT, "allow_redirects": False, "stream": True}
        try:
            with self.session.post(self.url, json=body, headers=headers, **options) as response:
                return response
        except RefusedError as error:
            raise ReceiverGoneError(str(error)) from error
        except requests.RequestException as error:
            raise CallbackError(f"it can't be reached ({type(error).__name__})") from error


def payload(snapshot: Snapshot, job: str, state: str, message: str) -> dict[str, Any]:
    """Return the body of one post."""
    return {
        "progress": round(snapshot.fraction, 4),
        "epoch_current": snapshot.epoch_current,
        "epoch_total": snapshot.epoch_total,
        "step_current": snapshot.step_current,
        "step_total": snapshot.step_total,
        "classification_loss": snapshot.classification_loss,
        "job": job,
        "state": state,
        "message": message,
    }
