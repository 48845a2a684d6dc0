"""Outcome callbacks: posted until they are delivered, refused or given up."""

from collections.abc import Callable

import pytest

from tests.unit.traind.conftest import Daemon
from vott_messaging.errors import CallbackError, PostponedError
from vott_traind.records import Record

Build = Callable[..., Daemon]


def record(ended: float) -> Record:
    return Record(
        name="vott-1",
        queue="q",
        message_id="m",
        digest="d",
        started=0.0,
        outcome="failed",
        message="Why.",
        ended=ended,
        callback="https://c/",
    )


async def settle(daemon: Daemon) -> Record:
    """Post, and return the record once it is settled."""
    daemon.parts.outcomes.resume()
    await daemon.parts.outcomes.close(30)
    found = daemon.records.get("vott-1")
    assert found is not None
    assert found.callback is None
    return found


def temporary(retry_after: float | None = None) -> CallbackError:
    return CallbackError("https://c/ answered 503", permanent=False, retry_after=retry_after)


async def test_an_outcome_is_posted_after_a_restart_until_it_is_delivered(build: Build) -> None:
    daemon = build()
    daemon.records.put(record(ended=daemon.parts.clock()))
    daemon.sender.errors = [temporary(), temporary(0.01)]
    assert (await settle(daemon)).outcome == "failed"
    assert daemon.sender.posts == [("https://c/", "vott-1-failed", daemon.sender.posts[0][2])]
    assert daemon.sender.posts[0][2]["message"] == "Why."


async def test_an_outcome_whose_turn_did_not_come_is_not_given_up(build: Build) -> None:
    daemon = build()
    daemon.records.put(record(ended=daemon.parts.clock() - 61))
    daemon.sender.errors = [PostponedError("not tried yet")]
    await settle(daemon)
    assert daemon.sender.states == ["failed"]


@pytest.mark.parametrize(
    ("error", "age"), [(CallbackError("410", permanent=True), 0), (temporary(), 61)], ids=["refused", "given up"]
)
async def test_an_outcome_is_not_posted_forever(build: Build, error: CallbackError, age: float) -> None:
    daemon = build()
    daemon.records.put(record(ended=daemon.parts.clock() - age))
    daemon.sender.errors = [error]
    await settle(daemon)
    assert daemon.sender.posts == []


async def test_a_stopping_daemon_leaves_the_outcome_to_the_next(build: Build) -> None:
    daemon = build()
    daemon.records.put(record(ended=daemon.parts.clock()))
    daemon.sender.errors = [temporary(retry_after=3600)]
    daemon.parts.outcomes.resume()
    await daemon.parts.outcomes.close(0.1)
    found = daemon.records.get("vott-1")
    assert found is not None
    assert found.callback == "https://c/"
