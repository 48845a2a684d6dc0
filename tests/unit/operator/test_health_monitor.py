"""The Events about the operator's own conditions."""

from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.observed_state import NOW
from vott_operator.cluster.client import Cluster
from vott_operator.errors import ClusterError
from vott_operator.health.conditions import QUEUE_REACHABLE, SIGNING_KEYS_USABLE, Health
from vott_operator.health.monitor import CHECKS_UNTIL_EVENT, HealthMonitor

QUEUE = "storage://acme/training"


class FakeCluster:
    """Records Events."""

    def __init__(self, error: ClusterError | None = None) -> None:
        self.error = error
        self.events: list[dict[str, Any]] = []

    async def create_event(self, manifest: dict[str, Any]) -> None:
        if self.error:
            raise self.error
        self.events.append(manifest)

    @property
    def recorded(self) -> list[tuple[str, str, str]]:
        """Type, reason and message of each Event."""
        return [(item["type"], item["reason"], item["message"]) for item in self.events]


class Bench:
    """A monitor with its conditions and its cluster."""

    def __init__(self, signing_dir: Path | None = None, error: ClusterError | None = None) -> None:
        self.health, self.cluster = Health(), FakeCluster(error)
        self.monitor = HealthMonitor(self.health, cast("Cluster", self.cluster), "vott-train", signing_dir, lambda: NOW)

    async def check(self, times: int) -> None:
        for _ in range(times):
            await self.monitor.check()


async def test_a_problem_that_lasts_is_an_event_and_its_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "vott-train-abc")
    monkeypatch.setenv("POD_UID", "uid-1")
    bench = Bench()
    bench.health.report(QUEUE_REACHABLE, QUEUE, f"{QUEUE}: no route")
    await bench.check(10)
    bench.health.report(QUEUE_REACHABLE, QUEUE, "")
    await bench.check(10)
    assert bench.cluster.recorded == [
        ("Warning", "QueueUnreachable", f"{QUEUE}: no route"),
        ("Normal", "QueueReachable", f"{QUEUE} is reachable again."),
    ]
    about = bench.cluster.events[0]["involvedObject"]
    assert (about["kind"], about["name"], about["uid"]) == ("Pod", "vott-train-abc", "uid-1")


async def test_a_short_problem_is_no_event() -> None:
    bench = Bench()
    bench.health.report(QUEUE_REACHABLE, QUEUE, f"{QUEUE}: no route")
    await bench.check(CHECKS_UNTIL_EVENT - 1)
    bench.health.report(QUEUE_REACHABLE, QUEUE, "")
    await bench.check(10)
    assert bench.cluster.recorded == []


async def test_the_same_problem_later_is_another_event() -> None:
    bench = Bench()
    for _ in range(2):
        bench.health.report(QUEUE_REACHABLE, QUEUE, f"{QUEUE}: no route")
        await bench.check(10)
        bench.health.report(QUEUE_REACHABLE, QUEUE, "")
        await bench.check(10)
    names = [item["metadata"]["name"] for item in bench.cluster.events]
    assert len(set(names)) == 4


async def test_an_event_that_cannot_be_recorded_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(error=ClusterError("forbidden", 403))
    bench.health.report(QUEUE_REACHABLE, QUEUE, f"{QUEUE}: no route")
    await bench.check(10)
    assert caplog.messages == ["Event not recorded: forbidden"]


async def test_unusable_keys_are_logged_once_and_seen_to_be_corrected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path)
    await bench.check(10)
    assert len(caplog.messages) == 1
    assert bench.cluster.recorded[0][1] == "SigningKeysUnusable"
    (tmp_path / "current").write_text("whsec_" + "QUFB" * 8)
    await bench.check(1)
    assert bench.health.ready
    assert bench.cluster.recorded[1] == ("Normal", SIGNING_KEYS_USABLE, "Callbacks are sent again.")
