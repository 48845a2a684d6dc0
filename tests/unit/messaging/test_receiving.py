"""The loop that receives from one queue, on a virtual clock."""

import asyncio
import logging
from itertools import pairwise

import pytest

from vott_messaging.delivery.receiving import BACKOFF, receive_until_cancelled
from vott_messaging.errors import SourceUnavailableError

pytestmark = pytest.mark.looptime


class Source:
    """Each call raises the next of `errors`, unless that is None; records when it is called."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.times: list[float] = []

    async def receive(self) -> None:
        await asyncio.sleep(1)
        self.times.append(asyncio.get_running_loop().time())
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error

    async def run(self, seconds: float) -> None:
        """Receive for this time."""
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive_until_cancelled("memory://queue", self.receive), seconds)


async def test_it_receives_without_a_pause_until_it_is_cancelled() -> None:
    source = Source()
    await source.run(100.5)
    assert len(source.times) == 100


async def test_the_pause_after_an_error_grows_and_ends_with_the_errors(caplog: pytest.LogCaptureFixture) -> None:
    error = SourceUnavailableError("memory://queue: no route")
    source = Source(*[error] * 10, None, error)
    await source.run(1000)
    pauses = [after - before - 1 for before, after in pairwise(source.times)]
    assert pauses[9] == pytest.approx(BACKOFF.longest, rel=BACKOFF.jitter)
    assert pauses[10] == pytest.approx(0)
    assert 0 < pauses[11] <= BACKOFF.first
    assert pauses[12:] == pytest.approx([0] * len(pauses[12:]))
    assert caplog.messages[0].startswith("memory://queue: no route; trying again in ")
    assert {record.exc_info for record in caplog.records} == {None}


async def test_an_internal_error_is_logged_with_its_traceback_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    source = Source(ZeroDivisionError())
    await source.run(100)
    assert len(source.times) > 50
    (record,) = caplog.records
    assert record.message.startswith("memory://queue: internal error; trying again in ")
    assert record.exc_info is not None


async def test_an_outage_is_logged_when_it_begins_every_five_minutes_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "vott_messaging")
    errors = [SourceUnavailableError(f"memory://queue: no route from port {port}") for port in range(50)]
    await Source(*errors).run(1000)
    begin, *again, end = caplog.messages
    assert begin.startswith("memory://queue: no route from port 0; trying again in ")
    assert 1 <= len(again) <= 3
    assert end == "messages are received again"
