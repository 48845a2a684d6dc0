"""Reports in the background: how often, and that a failing receiver delays nothing."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from vott_guard.backoff import Backoff
from vott_trainer.progress import reporter as reporter_module
from vott_trainer.progress.report_interval import ReportInterval
from vott_trainer.progress.reporter import Reporter, UnsubscribedError
from vott_trainer.progress.reporting import Reporting
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.stores.store import StoredObject

MODEL = StoredObject("https://store/m.tgz", "0" * 64, 7)

LONG: Callable[[], ReportInterval] = partial(ReportInterval, 3600)
SHORT: Callable[[], ReportInterval] = partial(ReportInterval, 0, Backoff(first=0.01, longest=0.01))


@dataclass
class Receiver:
    """Records reports; may fail, or block each report until released."""

    name: str = "the receiver"
    failures: int = 0
    error: Exception = field(default_factory=lambda: OSError("no route"))
    asked: float | None = None
    release: threading.Event = field(default_factory=threading.Event)
    sent: list[Snapshot] = field(default_factory=list)
    attempted: threading.Event = field(default_factory=threading.Event)

    def send(self, snapshot: Snapshot) -> float | None:
        self.attempted.set()
        if self.failures:
            self.failures -= 1
            raise self.error
        self.release.wait(10)
        self.sent.append(snapshot)
        return self.asked


class Status(Receiver):
    """The status, which also gets the model."""

    def send_until_accepted(self, snapshot: Snapshot) -> None:
        self.sent.append(snapshot)


@pytest.fixture
def receiver() -> Receiver:
    ready = Receiver()
    ready.release.set()
    return ready


def report_and_wait(reporter: Reporter, receiver: Receiver, snapshot: Snapshot) -> None:
    receiver.attempted.clear()
    reporter(snapshot)
    assert receiver.attempted.wait(10)


def test_epochs_that_end_within_the_interval_are_not_reported_but_the_last_is(receiver: Receiver) -> None:
    reporter = Reporter([receiver], LONG)
    report_and_wait(reporter, receiver, Snapshot(epoch_current=1))
    receiver.attempted.clear()
    for epoch in range(2, 171):
        reporter(Snapshot(epoch_current=epoch))
    assert not receiver.attempted.wait(0.2)
    reporter.close()
    assert [snapshot.epoch_current for snapshot in receiver.sent] == [1, 170]


def test_a_report_follows_once_the_interval_is_over(receiver: Receiver) -> None:
    reporter = Reporter([receiver], SHORT)
    for step in (1, 2):
        report_and_wait(reporter, receiver, Snapshot(step_current=step))
    reporter.close()
    assert [snapshot.step_current for snapshot in receiver.sent] == [1, 2]


def test_the_interval_is_the_one_that_the_receiver_asks_for(receiver: Receiver) -> None:
    receiver.asked = 60.0
    reporter = Reporter([receiver], SHORT)
    report_and_wait(reporter, receiver, Snapshot(step_current=1))
    receiver.attempted.clear()
    reporter(Snapshot(step_current=2))
    assert not receiver.attempted.wait(0.2)
    reporter.close()
    assert [snapshot.step_current for snapshot in receiver.sent] == [1, 2]


def test_a_slow_receiver_gets_the_newest_report_and_does_not_block_the_training() -> None:
    slow = Receiver()
    reporter = Reporter([slow], SHORT)
    report_and_wait(reporter, slow, Snapshot(step_current=1))
    for step in range(2, 100):
        reporter(Snapshot(step_current=step))  # would hang here, were it synchronous
    slow.release.set()
    reporter.close()
    assert [snapshot.step_current for snapshot in slow.sent] == [1, 99]


def test_a_report_that_failed_is_sent_again(receiver: Receiver) -> None:
    receiver.failures = 3
    arrived = threading.Event()
    receiver.release = arrived
    arrived.set()
    reporter = Reporter([receiver], SHORT)
    report_and_wait(reporter, receiver, Snapshot(step_current=1))
    while receiver.failures:
        receiver.attempted.clear()
        assert receiver.attempted.wait(10)
    reporter.close()
    assert [snapshot.step_current for snapshot in receiver.sent] == [1]


def test_a_failing_receiver_is_logged_once_and_affects_no_other(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Receiver(name="the callback", failures=1000)
    reporter = Reporter([failing, receiver], SHORT)
    with caplog.at_level(logging.WARNING):
        for epoch in range(5):
            report_and_wait(reporter, failing, Snapshot(epoch_current=epoch))
        reporter.close()
    assert [record.getMessage() for record in caplog.records] == [
        "a report to the callback failed, training continues: no route"
    ]
    assert receiver.sent[-1].epoch_current == 4


def test_a_last_report_that_fails_does_not_delay_the_end() -> None:
    failing = Receiver(failures=1000)
    reporter = Reporter([failing], LONG)
    reporter(Snapshot())
    reporter.close()
    assert failing.failures >= 998


def test_the_model_is_reported_after_a_report_that_is_still_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter_module, "FLUSH_SECONDS", 0.01)
    status = Status()
    reporting = Reporting(status, None)
    with reporting.failures_reported():
        reporting.start(to_callback=True).fetching(1, 2)
        assert status.attempted.wait(10)
    threading.Timer(0.1, status.release.set).start()
    reporting.report_model(MODEL)
    assert [snapshot.model for snapshot in status.sent] == [None, MODEL]


def test_an_unsubscribed_receiver_gets_no_more_reports() -> None:
    unsubscribed = Receiver(failures=1, error=UnsubscribedError())
    unsubscribed.release.set()
    reporter = Reporter([unsubscribed], SHORT)
    report_and_wait(reporter, unsubscribed, Snapshot())
    reporter(Snapshot())
    reporter.close()
    assert unsubscribed.sent == []


def test_close_sends_the_last_report_without_waiting_for_the_interval(receiver: Receiver) -> None:
    reporter = Reporter([receiver], LONG)
    report_and_wait(reporter, receiver, Snapshot(step_current=1))
    reporter(Snapshot(step_current=2))
    reporter.close()
    assert receiver.sent[-1].step_current == 2
