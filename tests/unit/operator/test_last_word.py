"""The last word's patience. The cluster is a double here: what counts is how often the receiver is asked."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from tests.unit.operator.builders import NOW, condition, settings, trainingjob
from vott_guard.rules import Rules
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.outcome import LastWord
from vott_operator.callbacks.sender import CallbackSender
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.store import Store
from vott_operator.decisions.notes import EventNote
from vott_operator.errors import CallbackError, NotFoundError
from vott_operator.settings.outgoing import CallbackSettings

ENDED = {"completionTime": "2026-01-01T11:00:00Z", "conditions": [condition("Failed")]}


class Recorder:
    """A cluster that takes every status, and has the Secrets that are put into it."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.secrets: dict[str, dict[str, str]] = {}

    async def read_secret(self, namespace: str, name: str) -> dict[str, str]:  # noqa: ARG002
        if name not in self.secrets:
            raise NotFoundError("no such Secret", 404)
        return self.secrets[name]

    async def patch_status(self, tj: TrainingJob, status: Mapping[str, Any]) -> TrainingJob:
        self.said.append(status["conditions"][-1]["reason"])
        return tj.model_copy(update={"status": tj.status.model_validate({**tj.status.to_api(), **status})})

    async def create_event(self, tj: TrainingJob, note: EventNote, now: datetime) -> None:  # noqa: ARG002
        self.said.append(note.reason)


class Receiver(CallbackSender):
    """A receiver that answers as told."""

    def __init__(self, *answers: CallbackError | None) -> None:
        super().__init__(CallbackSettings(), Rules())
        self.answers = list(answers)
        self.posts = 0
        self.urls: list[str] = []

    async def send(self, url: str, webhook_id: str, body: Mapping[str, Any]) -> None:  # noqa: ARG002
        self.posts += 1
        self.urls.append(url)
        if error := self.answers.pop(0):
            raise error


PLAIN: dict[str, Any] = {"callback": {"url": "https://h/s"}}
HIDDEN = PLAIN | {"urlSecretRef": {"name": "cats-urls"}}


def last_word(
    receiver: Receiver, spec: dict[str, Any] = PLAIN, **metadata: str
) -> tuple[LastWord, Recorder, TrainingJob]:
    tj = trainingjob(spec, ENDED, metadata)
    store, cluster = Store(NOW), Recorder()
    store.put_trainingjob(tj)
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    return LastWord(cast("Cluster", cluster), store, receiver, settings(), lambda: now), cluster, tj


async def test_a_retry_after_holds_however_often_it_is_triggered() -> None:
    receiver = Receiver(CallbackError("busy", permanent=False, retry_after=600), None)
    word, _, tj = last_word(receiver)
    assert await word.say(tj.key) == 600
    remaining = await word.say(tj.key)
    assert remaining is not None
    assert remaining > 500
    assert receiver.posts == 1


async def test_the_backoff_grows() -> None:
    receiver = Receiver(*[CallbackError("busy", permanent=False)] * 3)
    word, _, tj = last_word(receiver)
    delays = []
    for _ in range(3):
        delays.append(await word.say(tj.key))
        word._waits[tj.key] = word._waits[tj.key]._replace(due=0.0)
    assert delays == [2.0, 4.0, 8.0]


async def test_what_is_refused_is_said_once() -> None:
    receiver = Receiver(CallbackError("gone", permanent=True))
    word, cluster, tj = last_word(receiver)
    assert await word.say(tj.key) is None
    assert await word.say(tj.key) is None
    assert (receiver.posts, cluster.said) == (1, ["CallbackGivenUp", "Refused"])


async def test_a_deleted_trainingjob_does_not_wait_out_a_long_backoff() -> None:
    receiver = Receiver(CallbackError("busy", permanent=False, retry_after=600))
    word, _, tj = last_word(receiver, deletionTimestamp="2026-01-01T11:59:00Z")
    assert await word.say(tj.key) == 30


async def test_a_deleted_trainingjob_is_held_for_ten_minutes_at_most() -> None:
    receiver = Receiver(*[CallbackError("busy", permanent=False)] * 2)
    word, cluster, tj = last_word(receiver, deletionTimestamp="2026-01-01T11:49:00Z")
    await word.say(tj.key)
    word._waits[tj.key] = word._waits[tj.key]._replace(due=0.0)
    assert await word.say(tj.key) is None
    assert cluster.said == ["Retrying", "CallbackGivenUp", "GivenUp"]


@pytest.mark.parametrize("before", [None, {"model": "https://h/m?sig=S"}], ids=["no Secret", "no key"])
async def test_a_url_whose_secret_is_made_a_moment_later_hears_the_last_word_all_the_same(
    before: dict[str, str] | None,
) -> None:
    receiver = Receiver(None)
    word, cluster, tj = last_word(receiver, HIDDEN)
    if before is not None:
        cluster.secrets["cats-urls"] = before
    assert await word.say(tj.key) == 2.0
    cluster.secrets["cats-urls"] = {"callback": "https://h/s?token=T"}
    word._waits[tj.key] = word._waits[tj.key]._replace(due=0.0)
    assert await word.say(tj.key) is None
    assert (receiver.urls, cluster.said) == (["https://h/s?token=T"], ["Retrying", "Delivered"])


@pytest.mark.parametrize(
    ("ended", "metadata"),
    [({"completionTime": "2025-12-31T11:00:00Z"}, {}), ({}, {"deletionTimestamp": "2026-01-01T11:49:00Z"})],
    ids=["a day ago", "deleted ten minutes ago"],
)
async def test_a_secret_that_never_comes_is_given_up_in_the_usual_time(
    ended: dict[str, Any], metadata: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.operator.test_last_word.ENDED", ENDED | ended)
    word, cluster, tj = last_word(Receiver(), HIDDEN, **metadata)
    assert await word.say(tj.key) == 2.0
    word._waits[tj.key] = word._waits[tj.key]._replace(due=0.0)
    assert await word.say(tj.key) is None
    assert cluster.said == ["Retrying", "CallbackGivenUp", "GivenUp"]
