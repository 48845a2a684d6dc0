"""What becomes of a message: trained, retried, given back, put aside; each once."""

import asyncio
import dataclasses
import json
from collections.abc import Callable

import pytest

from tests.unit.traind.conftest import Daemon
from vott_messaging.errors import LostMessageError
from vott_messaging.queues import memory
from vott_messaging.queues.base import Delivery
from vott_messaging.queues.memory import MemoryQueue
from vott_traind.records import Record

URLS = {"annotations": "https://host/a.csv?sig=S1", "model": "https://store/m?sig=S2", "status": "https://c/?t=S3"}

Build = Callable[..., Daemon]


def body(**parameters: object) -> str:
    return json.dumps(URLS | {"parameters": parameters})


def record_of(daemon: Daemon) -> Record:
    (record,) = daemon.records.all()
    return record


def attempts(daemon: Daemon) -> int:
    return int(daemon.records.folder(record_of(daemon).name).path.joinpath("attempts").read_text())


async def test_a_trained_message_is_completed_and_its_callback_told(build: Build) -> None:
    daemon = build()
    daemon.queue.send(body())
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    ((url, webhook_id, post),) = daemon.sender.posts
    record = record_of(daemon)
    assert (record.outcome, record.callback) == ("succeeded", None)
    assert (url, webhook_id) == (URLS["status"], f"{record.name}-succeeded")
    assert (post["state"], post["progress"], post["job"]) == ("succeeded", 1.0, record.name)
    assert post["message"] == "The model is at https://store/m.tgz (7 bytes); mAP 0.5."
    assert daemon.queue.dead_letters == []


async def test_urls_with_credentials_are_gone_after_the_training(build: Build) -> None:
    daemon = build()
    daemon.queue.send(body())
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    folder = daemon.records.folder(record_of(daemon).name)
    assert not folder.urls.exists()
    assert "sig=" not in folder.record.read_text()


async def test_a_temporary_failure_is_retried(build: Build) -> None:
    daemon = build()
    daemon.queue.send(body(ends=[75, 0]))
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert (attempts(daemon), daemon.sender.states, record_of(daemon).failures) == (2, ["succeeded"], 1)


@pytest.mark.parametrize(
    ("end", "reason", "text"),
    [
        (75, "BadAnnotations", "line 1: wrong. Tried 2 times (trainingJob.backoffLimit)."),
        ("kill", "TrainerKilled", "usually for lack of memory"),
        ("no model", "ModelNotReported", "reported no verified model"),
        (1, "BadAnnotations", "Tried 2 times"),
    ],
)
async def test_after_the_limit_the_message_is_put_aside(build: Build, end: object, reason: str, text: str) -> None:
    daemon = build()
    daemon.queue.send(body(ends=[end]))
    await daemon.run_until(lambda: daemon.queue.dead_letters and daemon.sender.posts)
    ((dead_body, dead_reason, message),) = daemon.queue.dead_letters
    assert (dead_body, dead_reason, attempts(daemon)) == (body(ends=[end]), reason, 2)
    assert text in message
    assert daemon.sender.states == ["failed"]
    assert daemon.sender.posts[0][2]["message"] == message


@pytest.mark.parametrize("end", [64, 65, 66, 73])
async def test_a_permanent_failure_is_not_retried(build: Build, end: int) -> None:
    daemon = build()
    daemon.queue.send(body(ends=[end]))
    await daemon.run_until(lambda: daemon.queue.dead_letters and daemon.sender.posts)
    assert daemon.queue.dead_letters == [(body(ends=[end]), "BadAnnotations", "line 1: wrong.")]
    assert (attempts(daemon), daemon.sender.states) == (1, ["failed"])


async def test_interruptions_do_not_count(build: Build) -> None:
    daemon = build(backoff_limit=0)
    daemon.queue.send(body(ends=[143, 143, 0]))
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert (attempts(daemon), daemon.sender.states) == (3, ["succeeded"])


async def test_a_message_that_is_no_message_is_put_aside_without_a_record(build: Build) -> None:
    daemon = build()
    daemon.queue.send("no JSON")
    await daemon.run_until(lambda: daemon.queue.dead_letters)
    assert daemon.queue.dead_letters[0][1] == "NotJSON"
    assert list(daemon.records.all()) == []


async def test_a_stopping_daemon_gives_the_message_back_and_the_next_one_goes_on(build: Build) -> None:
    first = build()
    first.queue.send(body(ends=["wait", 0]))
    await first.run_until(
        lambda: list(first.records.all()) and first.records.folder(record_of(first).name).status.exists()
    )
    assert (len(first.queue), first.sender.posts, record_of(first).outcome) == (1, [], None)
    second = build(first.queue)
    await second.run_until(lambda: not len(second.queue) and second.sender.posts)
    assert (attempts(second), second.sender.states, record_of(second).failures) == (2, ["succeeded"], 0)


async def test_a_recorded_success_completes_the_redelivered_message(build: Build) -> None:
    first = build()
    first.queue.send(body(), "m")
    await first.run_until(lambda: not len(first.queue) and first.sender.posts)
    second = build()
    second.queue.send(body(), "m")  # as if it had not been deleted
    await second.run_until(lambda: not len(second.queue))
    assert (attempts(second), second.sender.posts) == (1, [])


async def test_a_recorded_failure_puts_the_redelivered_message_aside(build: Build) -> None:
    first = build()
    first.queue.send(body(ends=[65]), "m")
    await first.run_until(lambda: first.queue.dead_letters and first.sender.posts)
    second = build()
    second.queue.send(body(ends=[65]), "m")
    await second.run_until(lambda: second.queue.dead_letters)
    assert (attempts(second), second.queue.dead_letters, second.sender.posts) == (1, first.queue.dead_letters, [])


async def test_a_model_that_an_earlier_daemon_did_not_see_is_enough(build: Build) -> None:
    """The daemon was killed while the trainer, which had reported its model, was ending."""
    first = build()
    first.queue.send(body(), "m")
    await first.run_until(lambda: not len(first.queue) and first.sender.posts)
    first.records.put(dataclasses.replace(record_of(first), outcome=None, ended=0.0))
    second = build()
    second.queue.send(body(), "m")
    await second.run_until(lambda: not len(second.queue) and second.sender.posts)
    assert (attempts(second), second.sender.states) == (1, ["succeeded"])


async def test_a_failure_after_the_model_was_delivered_is_none(build: Build) -> None:
    daemon = build(backoff_limit=0)
    daemon.queue.send(body(ends=["late failure"]))
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert (attempts(daemon), daemon.sender.states, daemon.queue.dead_letters) == (1, ["succeeded"], [])


async def test_a_lost_lock_does_not_stop_the_training(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LOCK_SECONDS", 0.3)

    class Forgetful(MemoryQueue):
        async def renew_lock(self, delivery: Delivery) -> None:
            raise LostMessageError(f"the lock on message {delivery.id} was lost")

    daemon = build(Forgetful(asyncio.get_running_loop().time))
    daemon.queue.send(body(ends=["slow"]), "m")
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert (attempts(daemon), daemon.sender.states, daemon.queue.attempts) == (1, ["succeeded"], 2)


async def test_a_message_redelivered_while_its_training_runs_waits_for_it(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "LOCK_SECONDS", 0.3)

    class ForgetfulOnce(MemoryQueue):
        async def renew_lock(self, delivery: Delivery) -> None:
            if delivery.attempt == 1:
                raise LostMessageError(f"the lock on message {delivery.id} was lost")
            await super().renew_lock(delivery)

    daemon = build(ForgetfulOnce(asyncio.get_running_loop().time), slots=2)
    daemon.queue.send(body(ends=["slow"]), "m")
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert (attempts(daemon), daemon.sender.states, daemon.queue.attempts) == (1, ["succeeded"], 2)


async def test_each_slot_trains_one_message_at_a_time(build: Build) -> None:
    daemon = build(slots=2)
    for _ in range(3):
        daemon.queue.send(body(ends=["wait"]))
    await daemon.run_until(lambda: len(list(daemon.records.all())) == 2)
    assert (len(daemon.queue), daemon.queue.attempts) == (3, 2)


async def test_a_full_disk_keeps_the_message(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = build()
    put, failures = daemon.records.put, [OSError(28, "No space left on device")]

    def fail_once(record: Record) -> None:
        if failures:
            raise failures.pop()
        put(record)

    monkeypatch.setattr(daemon.records, "put", fail_once)
    daemon.queue.send(body())
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert (daemon.sender.states, daemon.queue.dead_letters) == (["succeeded"], [])


async def test_a_line_that_cannot_be_shown_is_logged_and_loses_no_other(
    build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = build()
    shown: list[object] = []

    def fail_once(*_: object) -> None:
        if not caplog.text.count("can't be shown"):
            raise ValueError("a bug")

    monkeypatch.setattr(daemon.parts.output, "line", fail_once)
    monkeypatch.setattr(daemon.parts.output, "progress", lambda *status: shown.append(status))
    daemon.queue.send(body(ends=["slow"]))
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert "a report of the trainer can't be shown" in caplog.text
    assert (shown != [], daemon.sender.states) == (True, ["succeeded"])
