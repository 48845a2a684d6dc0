"""Progress callbacks, on a virtual clock, with a fake cluster and receiver."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.support.observed_state import NOW, condition, settings, trainingjob
from vott_guard.rules import Rules
from vott_messaging.callbacks.progress_receiver import BACKOFF, INTERVAL_SECONDS
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.errors import CallbackError
from vott_messaging.settings.callbacks import CallbackSettings
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks.outcome_callback import POSTING_SECONDS, OutcomeCallbacks
from vott_operator.callbacks.progress_callback import ProgressCallbacks
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.store import Store
from vott_operator.errors import ClusterError, NotFoundError

pytestmark = pytest.mark.looptime

SPEC: dict[str, Any] = {"callback": {"url": "https://h/s"}}
SPEC_WITH_SECRET = SPEC | {"urlSecretRef": {"name": "cats-urls"}}
ENDED = {"completionTime": "2026-01-01T11:00:00Z", "conditions": [condition("Failed")]}


class Receiver(CallbackSender):
    """Records posts; fails with the next of `errors`, if any."""

    def __init__(self) -> None:
        super().__init__(CallbackSettings(), Rules())
        self.errors: list[CallbackError] = []
        self.posts: list[tuple[str, str, Any]] = []
        """URL, webhook-id, body."""
        self.seconds = 0.0
        """How long it takes to answer."""

    async def send(self, url: str, webhook_id: str, body: Mapping[str, Any], _traceparent: str = "") -> None:
        self.posts.append((url, webhook_id, body))
        await asyncio.sleep(self.seconds)
        if self.errors:
            raise self.errors.pop()

    @property
    def progress(self) -> list[float]:
        """The progress of each post."""
        return [body["progress"] for _, _, body in self.posts]


class FakeCluster:
    """A cluster with one Secret, which may be unreadable or missing."""

    def __init__(self) -> None:
        self.reads = 0
        self.unavailable = self.missing = False

    async def read_secret(self, namespace: str, name: str) -> dict[str, str]:  # noqa: ARG002
        self.reads += 1
        if self.unavailable:
            raise ClusterError("the API did not answer")
        if self.missing:
            raise NotFoundError("no such Secret", 404)
        return {"callback": "https://h/s?token=T"}


class Harness:
    """ProgressCallbacks for one TrainingJob."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._version, self._spec = 0, spec
        self.receiver, self.cluster, self.store = Receiver(), FakeCluster(), Store(NOW)
        self.callbacks = ProgressCallbacks(
            cast("Cluster", self.cluster), self.store, self.receiver, replace(BACKOFF, jitter=0.0)
        )

    def report(self, percent: int | None, status: Mapping[str, Any] | None = None, **progress: Any) -> TrainingJob:
        """Store a status as the trainer patches it."""
        self._version += 1
        reported = {} if percent is None else {"progress": {"percent": percent} | progress}
        status = {"phase": "Running"} | reported | dict(status or {})
        tj = trainingjob(self._spec, status, {"resourceVersion": str(self._version)})
        self.store.put_trainingjob(tj)
        return tj

    async def send(self) -> float | None:
        return await self.callbacks.send(trainingjob().key)

    async def report_later(self, percent: int) -> list[float]:
        """Report long after the last report. Returns the progress of the posts that follow."""
        await asyncio.sleep(1000)
        before = len(self.receiver.posts)
        self.report(percent)
        await self.send()
        return self.receiver.progress[before:]


@pytest.fixture
def harness(request: pytest.FixtureRequest) -> Harness:
    return Harness(getattr(request, "param", SPEC))


async def test_a_report_is_posted_as_the_trainer_would_post_it(harness: Harness) -> None:
    harness.report(42, epochCurrent=3, epochTotal=10, stepCurrent=7, stepTotal=25, classificationLoss=0.5)
    assert await harness.send() is None
    ((url, _, body),) = harness.receiver.posts
    assert url == "https://h/s"
    assert body == {
        "progress": 0.42, "epoch_current": 3, "epoch_total": 10, "step_current": 7, "step_total": 25,
        "classification_loss": 0.5, "job": "cats", "state": "running", "message": "Epoch 3 of 10",
    }  # fmt: skip


async def test_a_report_names_the_fold_of_a_cross_validation_as_the_trainer_does(harness: Harness) -> None:
    harness.report(42, epochCurrent=3, epochTotal=10, foldCurrent=2, foldTotal=5)
    await harness.send()
    assert harness.receiver.posts[0][2]["message"] == "Epoch 3 of 10, fold 2 of 5"


async def test_a_report_is_posted_once_and_keeps_its_id_after_a_restart(harness: Harness) -> None:
    harness.report(42)
    await harness.send()
    harness.report(42, {"observedGeneration": 1})
    await asyncio.sleep(100)
    await harness.send()
    restarted = Harness(SPEC)
    restarted.report(42)
    await restarted.send()
    await asyncio.sleep(100)
    restarted.report(43)
    await restarted.send()
    ((_, first, _),), ((_, again, _), (_, other, _)) = harness.receiver.posts, restarted.receiver.posts
    assert first == again != other


async def test_only_the_newest_report_is_posted_and_at_most_every_two_seconds(harness: Harness) -> None:
    harness.report(1)
    await harness.send()
    await asyncio.sleep(0.5)
    for percent in (2, 3, 4):
        harness.report(percent)
        assert await harness.send() == pytest.approx(INTERVAL_SECONDS - 0.5)
    await asyncio.sleep(1.5)
    assert await harness.send() is None
    assert harness.receiver.progress == [0.01, 0.04]


@pytest.mark.parametrize("phase", ["Pending", "Suspended"])
async def test_a_training_that_does_not_run_is_not_reported_as_running(harness: Harness, phase: str) -> None:
    harness.report(5, {"phase": phase})
    assert await harness.send() == INTERVAL_SECONDS
    assert harness.receiver.posts == []
    harness.report(5)
    assert await harness.send() is None
    assert len(harness.receiver.posts) == 1


@pytest.mark.parametrize("harness", [SPEC_WITH_SECRET], indirect=True)
async def test_a_secret_that_is_created_later_is_used_from_then_on(harness: Harness) -> None:
    harness.cluster.missing = True
    assert await harness.report_later(1) == []
    harness.cluster.missing = False
    assert await harness.report_later(2) == [0.02]


@pytest.mark.parametrize("harness", [SPEC_WITH_SECRET], indirect=True)
async def test_the_secret_is_read_once_and_again_after_a_failure(harness: Harness) -> None:
    harness.cluster.unavailable = True
    assert await harness.report_later(1) == []
    harness.cluster.unavailable = False
    await harness.report_later(2)
    await harness.report_later(3)
    assert harness.cluster.reads == 2
    harness.receiver.errors = [CallbackError("401", permanent=False)]
    await harness.report_later(4)
    await harness.report_later(5)
    assert harness.cluster.reads == 3
    assert {url for url, _, _ in harness.receiver.posts} == {"https://h/s?token=T"}


@pytest.mark.parametrize("harness", [{}], indirect=True)
async def test_nothing_is_posted_without_a_callback(harness: Harness) -> None:
    assert await harness.report_later(1) == []


async def test_nothing_is_posted_before_the_first_report_or_after_the_end(harness: Harness) -> None:
    harness.report(None)
    assert await harness.send() is None
    harness.report(5, ENDED)
    assert await harness.send() is None
    assert harness.receiver.posts == []


async def test_the_outcome_waits_for_a_report_that_is_being_posted(harness: Harness) -> None:
    harness.report(5)
    harness.receiver.seconds = 10
    posting = asyncio.create_task(harness.send())
    await asyncio.sleep(1)
    key = harness.report(5, ENDED).key
    outcomes = OutcomeCallbacks(
        cast("Cluster", harness.cluster),
        harness.store,
        harness.receiver,
        settings().callbacks,
        lambda: NOW,
        harness.callbacks.is_posting,
    )
    assert await outcomes.send(key) == POSTING_SECONDS
    await posting
    assert not harness.callbacks.is_posting(key)
    assert [body["state"] for _, _, body in harness.receiver.posts] == ["running"]
