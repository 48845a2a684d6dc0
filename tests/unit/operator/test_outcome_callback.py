"""Retries of the outcome callback, on a virtual clock, with a fake cluster and receiver."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from tests.support.observed_state import NOW, condition, settings, trainingjob
from vott_guard.rules import Rules
from vott_messaging.callbacks.host_limits import Attempt
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.errors import CallbackError, PostponedError
from vott_messaging.settings.callbacks import CallbackSettings
from vott_operator import metrics
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.outcome_callback import OutcomeCallbacks
from vott_operator.callbacks.retry_backoff import BACKOFF
from vott_operator.callbacks.url import RETRY_SECONDS, CallbackURLs
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.store import Store
from vott_operator.errors import ConflictError, NotFoundError

pytestmark = pytest.mark.looptime

ENDED = {"completionTime": "2026-01-01T11:00:00Z", "conditions": [condition("Failed")]}
SPEC: dict[str, Any] = {"callback": {"url": "https://h/s"}}
SPEC_WITH_SECRET = SPEC | {"urlSecretRef": {"name": "cats-urls"}}


class FakeCluster:
    """Accepts every status and Event, and holds the Secrets that a test adds."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        """Of each Event and of the last condition of each status."""
        self.secrets: dict[str, dict[str, str]] = {}
        self.successor: TrainingJob | None = None
        """Another TrainingJob of the same name, with which every patch conflicts."""

    async def read_secret(self, namespace: str, name: str) -> dict[str, str]:  # noqa: ARG002
        if name not in self.secrets:
            raise NotFoundError("no such Secret", 404)
        return self.secrets[name]

    async def patch_status(self, tj: TrainingJob, status: Mapping[str, Any]) -> TrainingJob:
        if self.successor is not None:
            raise ConflictError("changed meanwhile", 422)
        self.reasons.append(status["conditions"][-1]["reason"])
        return tj.model_copy(update={"status": tj.status.model_validate({**tj.status.to_api(), **status})})

    async def read_trainingjob(self, _: Key) -> TrainingJob:
        assert self.successor is not None
        return self.successor

    async def create_event(self, manifest: Mapping[str, Any]) -> None:
        self.reasons.append(manifest["reason"])


class Receiver(CallbackSender):
    """Answers each post with the next of `answers`; None is success."""

    def __init__(self, *answers: CallbackError | None) -> None:
        super().__init__(CallbackSettings(), Rules())
        self.answers = list(answers)
        self.urls: list[str] = []
        self.attempts: list[Attempt] = []

    async def send(
        self,
        url: str,
        webhook_id: str,  # noqa: ARG002
        body: Mapping[str, Any],  # noqa: ARG002
        attempt: Attempt = Attempt.FIRST,
        wait_seconds: float | None = None,  # noqa: ARG002
        _traceparent: str = "",
    ) -> None:
        self.urls.append(url)
        self.attempts.append(attempt)
        if error := self.answers.pop(0):
            raise error


class Harness:
    """OutcomeCallbacks for one TrainingJob that has ended."""

    def __init__(
        self,
        receiver: Receiver,
        spec: dict[str, Any] = SPEC,
        status: dict[str, Any] = ENDED,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.cluster = FakeCluster()
        self._key = trainingjob().key
        self.store, now = Store(NOW), datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.store.put_trainingjob(trainingjob(spec, status, metadata))
        cluster = cast("Cluster", self.cluster)
        self.urls = CallbackURLs(cluster, self.store, lambda: now)
        self._outcomes = OutcomeCallbacks(
            cluster,
            self.store,
            self.urls,
            receiver,
            settings().callbacks,
            lambda: now,
            backoff=replace(BACKOFF, jitter=0.0),
        )

    async def send(self) -> float | None:
        return await self._outcomes.send(self._key)


def busy(retry_after: float | None = None) -> CallbackError:
    return CallbackError("busy", permanent=False, retry_after=retry_after)


async def test_a_retry_after_holds_however_often_the_trainingjob_is_enqueued() -> None:
    receiver = Receiver(busy(retry_after=600), None)
    harness = Harness(receiver)
    assert await harness.send() == 600
    await asyncio.sleep(50)
    assert await harness.send() == pytest.approx(550)
    assert len(receiver.urls) == 1
    await asyncio.sleep(550)
    assert await harness.send() is None
    assert len(receiver.urls) == 2


async def test_the_backoff_grows() -> None:
    harness = Harness(Receiver(busy(), busy(), busy()))
    delays = []
    for _ in range(3):
        delays.append(await harness.send())
        await asyncio.sleep(delays[-1] or 0)
    assert delays == [2.0, 4.0, 8.0]


async def test_a_successor_of_the_same_name_does_not_get_the_outcome_of_its_predecessor() -> None:
    harness = Harness(Receiver(None))
    harness.cluster.successor = trainingjob(SPEC, metadata={"uid": "another-uid"})
    assert await harness.send() is None
    assert harness.cluster.reasons == []
    stored = harness.store.trainingjob(trainingjob().key)
    assert stored is not None
    assert stored.metadata.uid == "another-uid"


async def test_a_refused_callback_is_not_retried() -> None:
    receiver = Receiver(CallbackError("gone", permanent=True))
    harness = Harness(receiver)
    assert await harness.send() is None
    assert await harness.send() is None
    assert (len(receiver.urls), harness.cluster.reasons) == (1, ["CallbackGivenUp", "Refused"])


async def test_a_trainingjob_that_is_being_deleted_is_retried_soon() -> None:
    harness = Harness(Receiver(busy(retry_after=600)), metadata={"deletionTimestamp": "2026-01-01T11:59:00Z"})
    assert await harness.send() == 30


async def test_a_deletion_shortens_the_wait_for_the_next_attempt() -> None:
    receiver = Receiver(busy(retry_after=600), None)
    harness = Harness(receiver)
    assert await harness.send() == 600
    harness.store.put_trainingjob(trainingjob(SPEC, ENDED, {"deletionTimestamp": "2026-01-01T11:59:00Z"}))
    await asyncio.sleep(20)
    assert await harness.send() == pytest.approx(10)
    await asyncio.sleep(10)
    assert await harness.send() is None
    assert len(receiver.urls) == 2


async def test_a_callback_delays_a_deletion_for_ten_minutes_at_most() -> None:
    harness = Harness(Receiver(busy(), busy()), metadata={"deletionTimestamp": "2026-01-01T11:49:00Z"})
    await asyncio.sleep(await harness.send() or 0)
    assert await harness.send() is None
    assert harness.cluster.reasons == ["Retrying", "CallbackGivenUp", "GivenUp"]


@pytest.mark.parametrize("secret", [None, {"model": "https://h/m?sig=S"}], ids=["no Secret", "no key"])
async def test_a_callback_whose_secret_is_created_later_gets_the_outcome(secret: dict[str, str] | None) -> None:
    receiver = Receiver(None)
    harness = Harness(receiver, SPEC_WITH_SECRET)
    if secret is not None:
        harness.cluster.secrets["cats-urls"] = secret
    assert await harness.send() == 2.0
    harness.cluster.secrets["cats-urls"] = {"callback": "https://h/s?token=T"}
    await asyncio.sleep(2)
    assert await harness.send() is None
    assert (receiver.urls, harness.cluster.reasons) == (["https://h/s?token=T"], ["Retrying", "Delivered"])


async def test_a_callback_whose_secret_is_never_created_is_given_up() -> None:
    harness = Harness(Receiver(), SPEC_WITH_SECRET, ENDED | {"completionTime": "2025-12-31T11:00:00Z"})
    assert await harness.send() == 2.0
    await asyncio.sleep(2)
    assert await harness.send() is None
    assert harness.cluster.reasons == ["Retrying", "CallbackGivenUp", "GivenUp"]


@pytest.mark.parametrize(
    ("deleted", "reasons"),
    [("2026-01-01T11:59:01Z", ["Retrying"]), ("2026-01-01T11:59:00Z", ["CallbackGivenUp", "GivenUp"])],
    ids=["in the last minute", "before"],
)
async def test_a_deleted_trainingjob_waits_a_minute_for_a_secret_that_nobody_has_read(
    deleted: str, reasons: list[str]
) -> None:
    harness = Harness(Receiver(), SPEC_WITH_SECRET, ENDED, {"deletionTimestamp": deleted})
    await harness.send()
    assert harness.cluster.reasons == reasons


async def test_the_url_of_an_unfinished_training_is_remembered_if_its_secret_is_deleted_first() -> None:
    receiver = Receiver(None)
    harness = Harness(receiver, SPEC_WITH_SECRET, {"phase": "Running"}, {"finalizers": [c.FINALIZER]})
    key = trainingjob().key
    assert await harness.urls.remember(key) == RETRY_SECONDS  # the Secret is not there yet
    harness.cluster.secrets["cats-urls"] = {"callback": "https://h/s?token=T"}
    assert await harness.urls.remember(key) is None
    harness.cluster.secrets.clear()
    metadata = {"finalizers": [c.FINALIZER], "deletionTimestamp": "2026-01-01T11:00:00Z"}
    harness.store.put_trainingjob(trainingjob(SPEC_WITH_SECRET, ENDED, metadata))
    assert await harness.send() is None
    assert (receiver.urls, harness.cluster.reasons) == (["https://h/s?token=T"], ["Delivered"])


@pytest.mark.parametrize("spec", [{}, SPEC], ids=["no callback", "no Secret"])
async def test_only_urls_in_secrets_are_remembered(spec: dict[str, Any]) -> None:
    harness = Harness(Receiver(), spec, {"phase": "Running"})
    assert await harness.urls.remember(trainingjob().key) is None
    assert harness.store.callback_url(trainingjob()) is None


async def test_an_outcome_whose_turn_did_not_come_counts_as_no_attempt() -> None:
    receiver = Receiver(PostponedError("not tried yet"), busy(), PostponedError("not tried yet"), None)
    harness = Harness(receiver)
    assert await harness.send() == 0.0
    assert harness.cluster.reasons == []
    assert await harness.send() == 2.0
    await asyncio.sleep(2)
    assert await harness.send() == 0.0
    assert await harness.send() is None
    assert harness.cluster.reasons == ["Retrying", "Delivered"]
    assert receiver.attempts == [Attempt.FIRST, Attempt.FIRST, Attempt.RETRY, Attempt.RETRY]


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [(None, ["Retrying", "Delivered"]), (busy(), ["Retrying", "CallbackGivenUp", "GivenUp"])],
    ids=["delivered", "given up"],
)
async def test_an_overdue_outcome_gets_a_last_attempt_that_does_not_wait_for_the_circuit(
    answer: CallbackError | None, reasons: list[str]
) -> None:
    receiver = Receiver(busy(), PostponedError("not tried yet"), answer)
    harness = Harness(receiver, status=ENDED | {"completionTime": "2025-12-31T11:00:00Z"})
    await asyncio.sleep(await harness.send() or 0)
    assert await harness.send() == 0.0
    assert await harness.send() is None
    assert harness.cluster.reasons == reasons
    assert receiver.attempts == [Attempt.LAST] * 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(None, "Delivered"), (busy(), "Retrying"), (CallbackError("gone", permanent=True), "Refused")],
    ids=["delivered", "retrying", "refused"],
)
async def test_every_attempt_is_counted_by_its_outcome(answer: CallbackError | None, reason: str) -> None:
    def count() -> float:
        return metrics.REGISTRY.get_sample_value("vott_train_callbacks_total", {"reason": reason}) or 0.0

    before = count()
    await Harness(Receiver(answer)).send()
    assert count() - before == 1
