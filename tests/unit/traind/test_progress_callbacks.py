"""Progress callbacks of the daemon, where callbacks are signed."""

import asyncio
from functools import partial

import pytest

from tests.unit.traind.conftest import QUICK, Sender, until
from vott_messaging.callbacks import progress_receiver
from vott_messaging.callbacks.payload import ProgressReport
from vott_messaging.callbacks.progress_receiver import ProgressReceiver
from vott_messaging.errors import CallbackError, PostponedError
from vott_traind.progress_callbacks import ProgressCallback, ProgressCallbacks


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_receiver, "INTERVAL_SECONDS", 0.01)


def receiver(sender: Sender) -> ProgressCallback:
    found = ProgressCallbacks(sender, QUICK).start("vott-1", "https://c/")  # type: ignore[arg-type]
    assert found is not None
    return found


def _has_posts(sender: Sender, count: int) -> bool:
    return len(sender.posts) == count


async def test_each_report_is_posted_once() -> None:
    sender = Sender()
    progress = receiver(sender)
    for percent in (10, 10, 20):
        progress.report(ProgressReport(percent=percent, epoch_current=1, epoch_total=2))
        await until(partial(_has_posts, sender, percent // 10))
    await progress.close()
    assert [body["progress"] for _, _, body in sender.posts] == [0.1, 0.2]
    assert {(body["job"], body["state"], body["message"]) for _, _, body in sender.posts} == {
        ("vott-1", "running", "Epoch 1 of 2")
    }
    assert len({webhook_id for _, webhook_id, _ in sender.posts}) == 2


async def test_a_failed_report_does_not_stop_the_next() -> None:
    sender = Sender(errors=[CallbackError("503", permanent=False)])
    progress = receiver(sender)
    progress.report(ProgressReport(percent=10))
    await until(lambda: not sender.errors)
    progress.report(ProgressReport(percent=20))
    await until(lambda: len(sender.posts) == 1)
    await progress.close()
    assert [body["progress"] for _, _, body in sender.posts] == [0.2]


async def test_a_report_whose_turn_did_not_come_is_posted_later() -> None:
    sender = Sender(errors=[PostponedError("not tried yet")])
    progress = receiver(sender)
    progress.report(ProgressReport(percent=10))
    await until(lambda: len(sender.posts) == 1)
    await progress.close()


async def test_close_waits_for_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_receiver, "INTERVAL_SECONDS", 3600.0)
    progress = receiver(sender := Sender())
    progress.report(ProgressReport(percent=10))
    await until(lambda: len(sender.posts) == 1)
    progress.report(ProgressReport(percent=20))
    await asyncio.sleep(0.05)
    await progress.close()
    assert len(sender.posts) == 1


async def test_a_receiver_that_unsubscribed_gets_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = Sender(errors=[CallbackError("410", permanent=True)])
    progress = receiver(sender)
    progress.report(ProgressReport(percent=10))
    await until(lambda: not sender.errors)
    is_due, wants = asyncio.Event(), ProgressReceiver.wants

    def ask(self: ProgressReceiver, report: str) -> bool:
        is_due.set()
        return wants(self, report)

    monkeypatch.setattr(ProgressReceiver, "wants", ask)
    progress.report(ProgressReport(percent=20))
    await is_due.wait()
    await progress.close()
    assert sender.posts == []


async def test_close_waits_for_the_post_on_its_way() -> None:
    class Slow(Sender):
        def __init__(self) -> None:
            super().__init__()
            self.started, self.answered = asyncio.Event(), asyncio.Event()

        async def send(self, *arguments: object) -> None:
            self.started.set()
            await self.answered.wait()
            await super().send(*arguments)  # type: ignore[arg-type]

    sender = Slow()
    progress = receiver(sender)
    progress.report(ProgressReport(percent=10))
    await sender.started.wait()
    closing = asyncio.create_task(progress.close())
    await asyncio.wait({closing}, timeout=0.1)
    assert not closing.done()
    sender.answered.set()
    await closing
    assert len(sender.posts) == 1


def test_a_message_without_a_callback_has_no_receiver() -> None:
    assert ProgressCallbacks(Sender()).start("vott-1", None) is None  # type: ignore[arg-type]
