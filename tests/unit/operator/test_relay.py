"""Progress to callbacks that are signed. The cluster is a double here: what counts is what the receiver hears, and when."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from tests.unit.operator.builders import NOW, condition, settings, trainingjob
from vott_guard.rules import Rules
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.callbacks import progress as relay_module
from vott_operator.callbacks.outcome import POSTING_SECONDS, LastWord
from vott_operator.callbacks.progress import INTERVAL_SECONDS, ProgressRelay
from vott_operator.callbacks.sender import CallbackSender
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.store import Store
from vott_operator.errors import CallbackError, ClusterError, NotFoundError
from vott_operator.settings.outgoing import CallbackSettings

SPEC: dict[str, Any] = {"callback": {"url": "https://h/s"}}
HIDDEN = SPEC | {"urlSecretRef": {"name": "cats-urls"}}
ENDED = {"completionTime": "2026-01-01T11:00:00Z", "conditions": [condition("Failed")]}


class Receiver(CallbackSender):
    """Takes what it is told, or fails as told."""

    def __init__(self) -> None:
        super().__init__(CallbackSettings(), Rules())
        self.errors: list[CallbackError] = []
        self.heard: list[tuple[str, str, Any]] = []
        """URL, webhook-id, body."""
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def send(self, url: str, webhook_id: str, body: Mapping[str, Any]) -> None:
        self.heard.append((url, webhook_id, body))
        await self.goes_on.wait()
        if self.errors:
            raise self.errors.pop()


class Secrets:
    """A cluster with a Secret, that may be away, or not be made yet."""

    def __init__(self) -> None:
        self.reads = 0
        self.away = self.missing = False

    async def read_secret(self, namespace: str, name: str) -> dict[str, str]:  # noqa: ARG002
        self.reads += 1
        if self.away:
            raise ClusterError("away")
        if self.missing:
            raise NotFoundError("no such Secret", 404)
        return {"callback": "https://h/s?token=T"}


class Bench:
    """A relay for one TrainingJob, and time that passes when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
        self.now, self.version, self.spec = 1000.0, 0, spec
        monkeypatch.setattr(relay_module, "_now", lambda: self.now)
        self.receiver, self.secrets, self.store = Receiver(), Secrets(), Store(NOW)
        self.relay = ProgressRelay(cast("Cluster", self.secrets), self.store, self.receiver)

    def report(self, percent: int | None, status: Mapping[str, Any] | None = None, **progress: Any) -> TrainingJob:
        """The trainer's report is in the status."""
        self.version += 1
        said = {} if percent is None else {"progress": {"percent": percent} | progress}
        tj = trainingjob(
            self.spec, {"phase": "Running"} | said | dict(status or {}), {"resourceVersion": str(self.version)}
        )
        self.store.put_trainingjob(tj)
        return tj

    async def tell(self) -> float | None:
        return await self.relay.tell(trainingjob().key)

    async def heard_next(self, percent: int) -> list[float]:
        """What is heard of that report, a long time later."""
        self.now += 1000
        before = len(self.receiver.heard)
        self.report(percent)
        await self.tell()
        return [body["progress"] for _, _, body in self.receiver.heard[before:]]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Bench:
    return Bench(monkeypatch, getattr(request, "param", SPEC))


async def test_a_report_is_passed_on_as_the_trainer_would_post_it(bench: Bench) -> None:
    bench.report(42, epochCurrent=3, epochTotal=10, stepCurrent=7, stepTotal=25, classificationLoss=0.5)
    assert await bench.tell() is None
    ((url, _, body),) = bench.receiver.heard
    assert url == "https://h/s"
    assert body == {
        "progress": 0.42, "epoch_current": 3, "epoch_total": 10, "step_current": 7, "step_total": 25,
        "classification_loss": 0.5, "job": "cats", "state": "running", "message": "Epoch 3 of 10",
    }  # fmt: skip


async def test_the_same_report_has_the_same_id_and_is_not_told_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.report(42)
    await bench.tell()
    bench.report(42, {"observedGeneration": 1})  # other news
    bench.now += 100
    await bench.tell()
    restarted = Bench(monkeypatch, SPEC)
    restarted.report(42)
    await restarted.tell()
    restarted.now += 100
    restarted.report(43)
    await restarted.tell()
    ((_, first, _),), ((_, again, _), (_, other, _)) = bench.receiver.heard, restarted.receiver.heard
    assert first == again != other


async def test_only_the_newest_is_told_and_at_most_every_two_seconds(bench: Bench) -> None:
    bench.report(1)
    await bench.tell()
    bench.now += 0.5
    for percent in (2, 3, 4):
        bench.report(percent)
        assert await bench.tell() == INTERVAL_SECONDS - 0.5
    bench.now += 1.5
    assert await bench.tell() is None
    assert [body["progress"] for _, _, body in bench.receiver.heard] == [0.01, 0.04]


async def test_what_did_not_arrive_is_not_told_again_but_the_next_is(bench: Bench) -> None:
    bench.receiver.errors = [CallbackError("busy", permanent=False)]
    assert await bench.heard_next(1) == [0.01]
    bench.now += 1000
    assert await bench.tell() is None
    assert await bench.heard_next(2) == [0.02]


async def test_a_receiver_that_fails_is_left_alone_ever_longer(bench: Bench) -> None:
    waits = []
    for percent in range(1, 9):
        bench.receiver.errors = [CallbackError("busy", permanent=False)]
        bench.report(percent)
        await bench.tell()
        bench.report(percent, epochCurrent=1)
        waits.append(await bench.tell())
        bench.now += waits[-1] or 0
    assert waits == [4, 8, 16, 32, 60, 60, 60, 60]


async def test_a_receiver_that_wants_no_more_gets_no_more(bench: Bench) -> None:
    bench.receiver.errors = [CallbackError("410 Gone", permanent=True)]
    assert await bench.heard_next(1) == [0.01]
    assert await bench.heard_next(2) == []


@pytest.mark.parametrize("seconds", [1.0, 9.9])
async def test_a_slow_receiver_is_left_alone_longer_than_it_took(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    async def slowly(*_: object) -> None:
        bench.now += seconds

    monkeypatch.setattr(bench.receiver, "send", slowly)
    bench.report(1)
    await bench.tell()
    bench.report(2)
    assert await bench.tell() == pytest.approx(4 * seconds)


@pytest.mark.parametrize("phase", ["Pending", "Suspended"])
async def test_a_training_that_does_not_run_is_not_told_as_running(bench: Bench, phase: str) -> None:
    bench.report(5, {"phase": phase})
    assert await bench.tell() == INTERVAL_SECONDS  # it may run by then
    assert bench.receiver.heard == []
    bench.report(5)
    assert await bench.tell() is None
    assert len(bench.receiver.heard) == 1


@pytest.mark.parametrize("bench", [HIDDEN], indirect=True)
async def test_a_secret_that_is_made_a_moment_later_is_used_then(bench: Bench) -> None:
    bench.secrets.missing = True
    assert await bench.heard_next(1) == []
    bench.secrets.missing = False
    assert await bench.heard_next(2) == [0.02]


@pytest.mark.parametrize("bench", [HIDDEN], indirect=True)
async def test_the_secret_is_read_once_while_all_is_well_and_again_after_a_failure(bench: Bench) -> None:
    bench.secrets.away = True
    assert await bench.heard_next(1) == []
    bench.secrets.away = False
    await bench.heard_next(2)
    await bench.heard_next(3)
    assert bench.secrets.reads == 2
    bench.receiver.errors = [CallbackError("401", permanent=False)]
    await bench.heard_next(4)
    await bench.heard_next(5)
    assert bench.secrets.reads == 3
    assert {url for url, _, _ in bench.receiver.heard} == {"https://h/s?token=T"}


@pytest.mark.parametrize("bench", [{}], indirect=True)
async def test_without_a_callback_nothing_is_told(bench: Bench) -> None:
    assert await bench.heard_next(1) == []


async def test_before_the_first_report_and_after_the_end_nothing_is_told(bench: Bench) -> None:
    bench.report(None)
    assert await bench.tell() is None
    bench.report(5, ENDED)
    assert await bench.tell() is None
    assert bench.receiver.heard == []


async def test_the_last_word_waits_for_a_report_on_its_way(bench: Bench) -> None:
    bench.report(5)
    bench.receiver.goes_on.clear()
    posting = asyncio.create_task(bench.tell())
    await asyncio.sleep(0)
    key = bench.report(5, ENDED).key
    word = LastWord(
        cast("Cluster", bench.secrets), bench.store, bench.receiver, settings(), lambda: NOW, bench.relay.is_posting
    )
    assert await asyncio.wait_for(word.say(key), 10) == POSTING_SECONDS
    bench.receiver.goes_on.set()
    await posting
    assert not bench.relay.is_posting(key)
    assert [body["state"] for _, _, body in bench.receiver.heard] == ["running"]
