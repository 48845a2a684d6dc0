"""Which changes of a TrainingJob need a reconcile."""

from typing import Any

import pytest

from tests.support.observed_state import MODEL, condition, running_status, settings, trainingjob
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.app import App
from vott_operator.cluster.store import LAST_APPLIED

REPORT = {"progress": {"percent": 42}, "metrics": [{"name": "mAP50", "value": 0.9}]}
CHECKPOINT = {"url": "https://store/0.pt", "epoch": 1, "time": "2026-01-01T11:00:00Z"}


def stalled_status(**fields: Any) -> dict[str, Any]:
    running = running_status(**fields)
    return running | {"conditions": [*running["conditions"], condition("Stalled", reason="NoProgress")]}


class Harness:
    """An App that counts what it would reconcile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app = App(settings())
        self.reconciled = 0
        monkeypatch.setattr(self.app, "enqueue", self._count)
        self.version = 10

    def _count(self, _: object) -> None:
        self.reconciled += 1

    def observe(self, tj: TrainingJob) -> int:
        """Observe a newer version; return how many reconciles it causes."""
        before = self.reconciled
        self.app.observe_trainingjob(tj)
        return self.reconciled - before

    def change(self, status: dict[str, Any], **metadata: Any) -> int:
        self.version += 1
        return self.observe(trainingjob(None, status, {"resourceVersion": str(self.version)} | metadata))


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Harness:
    harness = Harness(monkeypatch)
    assert harness.change(running_status()) == 1
    return harness


def test_a_report_causes_no_reconcile_and_is_stored(harness: Harness) -> None:
    assert harness.change(running_status(**REPORT)) == 0
    assert harness.change(running_status(**REPORT, checkpoint=CHECKPOINT)) == 0
    stored = harness.app.store.trainingjob(trainingjob().key)
    assert stored is not None
    assert stored.status.checkpoint is not None


def test_a_report_on_a_trainingjob_of_kubectl_apply_causes_none(harness: Harness) -> None:
    metadata = {"annotations": {LAST_APPLIED: "{}"}}
    harness.change(running_status(), **metadata)
    assert harness.change(running_status(**REPORT), **metadata) == 0


@pytest.mark.parametrize(
    ("status", "metadata"),
    [
        (running_status(**REPORT, model=MODEL), {}),
        (running_status(**REPORT, podName="cats-0-other"), {}),
        (stalled_status(**REPORT), {}),
        (running_status(**REPORT), {"generation": 2}),
        (running_status(**REPORT), {"deletionTimestamp": "2026-01-01T12:00:00Z"}),
        (running_status(**REPORT), {"finalizers": ["vott.dev/last-word"]}),
        (running_status(**REPORT), {"uid": "another"}),
        ({"phase": "Pending"}, {}),
    ],
    ids=["model", "pod", "stalled", "spec", "deletion", "finalizer", "successor", "phase"],
)
def test_any_other_change_causes_one(harness: Harness, status: dict[str, Any], metadata: dict[str, Any]) -> None:
    assert harness.change(status, **metadata) == 1


def test_a_report_of_a_stalled_training_causes_one(harness: Harness) -> None:
    harness.change(stalled_status())
    assert harness.change(stalled_status(**REPORT)) == 1


def test_the_event_of_an_own_write_causes_one(harness: Harness) -> None:
    written = trainingjob(None, running_status(), {"resourceVersion": "50"})
    harness.app.store.put_trainingjob(written)
    assert harness.observe(written) == 1


def test_a_report_causes_one_if_the_training_should_report_less_often(harness: Harness) -> None:
    for number in range(400):
        harness.app.observe_trainingjob(trainingjob(None, running_status(), {"name": f"cats-{number}"}))
    assert harness.change(running_status(**REPORT)) == 1
    assert harness.change(running_status(**REPORT, reportIntervalSeconds=4)) == 1
    assert harness.change(running_status(reportIntervalSeconds=4)) == 0
