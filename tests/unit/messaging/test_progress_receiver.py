"""The pace of one receiver's progress callbacks, on a virtual clock."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from vott_guard.rules import Rules
from vott_messaging.callbacks.payload import ProgressReport, progress_payload
from vott_messaging.callbacks.progress_receiver import BACKOFF, INTERVAL_SECONDS, ProgressReceiver
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.errors import CallbackError
from vott_messaging.settings.callbacks import CallbackSettings

pytestmark = pytest.mark.looptime
BUSY = CallbackError("busy", permanent=False)


class Server(CallbackSender):
    """Records URL and webhook-id of each post; fails with `error`, if any, after `seconds`."""

    def __init__(self) -> None:
        super().__init__(CallbackSettings(), Rules())
        self.posts: list[tuple[str, str]] = []
        self.error: CallbackError | None = None
        self.seconds = 0.0

    async def send(self, url: str, webhook_id: str, body: Mapping[str, Any], traceparent: str = "") -> None:  # noqa: ARG002
        self.posts.append((url, webhook_id))
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error


class Harness:
    """A receiver of one training, and its server."""

    def __init__(self) -> None:
        self.server = Server()
        self.receiver = ProgressReceiver(self.server, "uid", "cats", replace(BACKOFF, jitter=0.0))
        self.url_error: CallbackError | None = None
        self.reads = 0
        """How often the URL was read."""

    async def post(self, report: str) -> float:
        """Post a report. Returns the seconds until the next may be posted."""
        await self.receiver.post(report, {}, self._read_url)
        return self.receiver.remaining_seconds

    async def _read_url(self) -> str:
        self.reads += 1
        if self.url_error is not None:
            raise self.url_error
        return "https://h/s?token=T"


@pytest.fixture
async def harness() -> Harness:
    return Harness()


async def test_the_first_report_is_due_at_once_and_the_next_after_two_seconds(harness: Harness) -> None:
    assert harness.receiver.remaining_seconds <= 0
    assert await harness.post("1") == pytest.approx(INTERVAL_SECONDS)


async def test_a_report_has_the_same_id_from_any_process(harness: Harness) -> None:
    restarted = Harness()
    for report in ("1", "2"):
        await harness.post(report)
    await restarted.post("1")
    (_, first), (_, other) = harness.server.posts
    assert restarted.server.posts[0][1] == first != other


@pytest.mark.parametrize("error", [None, BUSY])
async def test_a_report_is_posted_once_delivered_or_not(harness: Harness, error: CallbackError | None) -> None:
    harness.server.error = error
    assert harness.receiver.wants("1")
    await harness.post("1")
    assert not harness.receiver.wants("1")
    assert harness.receiver.wants("2")


async def test_the_interval_grows_while_the_receiver_fails_and_then_is_the_first_again(harness: Harness) -> None:
    harness.server.error = BUSY
    assert [await harness.post(str(number)) for number in range(8)] == pytest.approx([4, 8, 16, 32, 60, 60, 60, 60])
    harness.server.error = None
    assert await harness.post("8") == pytest.approx(INTERVAL_SECONDS)
    harness.server.error = BUSY
    assert await harness.post("9") == pytest.approx(4)


async def test_a_receiver_that_answered_gone_wants_no_more_reports(harness: Harness) -> None:
    harness.server.error = CallbackError("410 Gone", permanent=True)
    await harness.post("1")
    assert not harness.receiver.wants("2")


@pytest.mark.parametrize("seconds", [1.0, 9.9])
async def test_the_pause_after_a_post_is_a_multiple_of_its_duration(harness: Harness, seconds: float) -> None:
    harness.server.seconds = seconds
    assert await harness.post("1") == pytest.approx(4 * seconds)


async def test_the_url_is_read_once_and_again_after_each_failure(harness: Harness) -> None:
    harness.url_error = CallbackError("there is no Secret", permanent=False)
    await harness.post("1")
    harness.url_error = None
    for report in ("2", "3"):
        await harness.post(report)
    assert (harness.reads, len(harness.server.posts)) == (2, 2)
    harness.server.error = BUSY
    for report in ("4", "5"):
        await harness.post(report)
    assert harness.reads == 3


async def test_only_the_first_of_several_failures_is_logged(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.server.error = BUSY
    for report in ("1", "2", "3"):
        await harness.post(report)
    assert caplog.messages == ["cats: progress not delivered, training goes on: busy"]


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (ProgressReport(percent=1), "Training"),
        (ProgressReport(epoch_current=3, epoch_total=10), "Epoch 3 of 10"),
        (ProgressReport(epoch_current=3, epoch_total=10, fold_current=2, fold_total=5), "Epoch 3 of 10, fold 2 of 5"),
    ],
)
def test_the_message_tells_epoch_and_fold(report: ProgressReport, message: str) -> None:
    body = progress_payload("cats", report)
    assert (body["state"], body["message"]) == ("running", message)
