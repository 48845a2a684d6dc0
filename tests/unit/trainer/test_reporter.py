"""Reports in the background: how often, and that a failing receiver delays nothing."""

import logging
import threading
from dataclasses import dataclass, field

import pytest

from vott_trainer.progress.reporter import Reporter, UnsubscribedError
from vott_trainer.progress.snapshot import Snapshot


@dataclass
class Receiver:
    """Records reports; may fail, or block each report until released."""

    name: str = "the receiver"
    failures: int = 0
    error: Exception = field(default_factory=lambda: OSError("no route"))
    release: threading.Event = field(default_factory=threading.Event)
    sent: list[Snapshot] = field(default_factory=list)
    attempted: threading.Event = field(default_factory=threading.Event)

    def send(self, snapshot: Snapshot) -> None:
        self.attempted.set()
        if self.failures:
            self.failures -= 1
            raise self.error
        self.release.wait(10)
        self.sent.append(snapshot)


@pytest.fixture
def receiver() -> Receiver:
    ready = Receiver()
    ready.release.set()
    return ready


def test_steps_within_the_interval_are_not_reported(receiver: Receiver) -> None:
    reporter = Reporter([receiver], interval=3600)
    reporter(Snapshot(step_current=1))
    assert receiver.attempted.wait(10)
    receiver.attempted.clear()
    for step in range(2, 100):
        reporter(Snapshot(step_current=step))
    assert not receiver.attempted.wait(0.2)
    reporter.close()
    assert [snapshot.step_current for snapshot in receiver.sent] == [1, 99]


def test_report_follows_once_the_interval_is_over(receiver: Receiver) -> None:
    reporter = Reporter([receiver], interval=0.01)
    for step in (1, 2):
        receiver.attempted.clear()
        reporter(Snapshot(step_current=step))
        assert receiver.attempted.wait(10)
    reporter.close()
    assert [snapshot.step_current for snapshot in receiver.sent] == [1, 2]


def test_end_of_an_epoch_is_reported_at_once(receiver: Receiver) -> None:
    reporter = Reporter([receiver], interval=3600)
    for epoch in (1, 2, 3):
        receiver.attempted.clear()
        reporter(Snapshot(epoch_current=epoch), True)
        assert receiver.attempted.wait(10)
    reporter.close()
    assert [snapshot.epoch_current for snapshot in receiver.sent] == [1, 2, 3]


def test_slow_receiver_gets_the_newest_report_and_does_not_block_the_training() -> None:
    slow = Receiver()
    reporter = Reporter([slow], interval=0)
    reporter(Snapshot(step_current=1), True)
    assert slow.attempted.wait(10)
    for step in range(2, 100):
        reporter(Snapshot(step_current=step), True)  # would hang here, were it synchronous
    slow.release.set()
    reporter.close()
    assert [snapshot.step_current for snapshot in slow.sent] == [1, 99]


def test_failing_receiver_is_logged_once_and_affects_no_other(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Receiver(name="the callback", failures=1000)
    reporter = Reporter([failing, receiver], interval=0)
    with caplog.at_level(logging.WARNING):
        for epoch in range(5):
            failing.attempted.clear()
            reporter(Snapshot(epoch_current=epoch), True)
            assert failing.attempted.wait(10)
        reporter.close()
    assert [record.getMessage() for record in caplog.records] == [
        "a report to the callback failed, training continues: no route"
    ]
    assert receiver.sent[-1].epoch_current == 4


def test_unsubscribed_receiver_gets_no_more_reports() -> None:
    unsubscribed = Receiver(failures=1, error=UnsubscribedError())
    unsubscribed.release.set()
    reporter = Reporter([unsubscribed], interval=0)
    reporter(Snapshot(), True)
    assert unsubscribed.attempted.wait(10)
    reporter(Snapshot(), True)
    reporter.close()
    assert unsubscribed.sent == []


def test_close_sends_the_last_report(receiver: Receiver) -> None:
    reporter = Reporter([receiver], interval=3600)
    reporter(Snapshot(step_current=1))
    assert receiver.attempted.wait(10)
    reporter(Snapshot(step_current=2))
    reporter.close()
    assert receiver.sent[-1].step_current == 2
