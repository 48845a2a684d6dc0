"""What becomes of a message: trained, retried, given back, put aside; each once."""

import asyncio
import dataclasses
import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.traind.conftest import PATIENCE_SECONDS, Daemon, until
from vott_messaging.errors import LostMessageError, SourceUnavailableError
from vott_messaging.queues import memory
from vott_messaging.queues.base import Delivery
from vott_messaging.queues.memory import MemoryQueue
from vott_traind.devices import Slot
from vott_traind.folders import StateUnavailableError
from vott_traind.processes import ProcessId, TrainerProcess
from vott_traind.records import Record
from vott_traind.slots import Slots
from vott_traind.training import MAX_CRASHES

URLS = {"annotations": "https://host/a.csv?sig=S1", "model": "https://store/m?sig=S2", "status": "https://c/?t=S3"}

Build = Callable[..., Daemon]


def body(**parameters: object) -> str:
    return json.dumps(URLS | {"parameters": parameters})


def record_of(daemon: Daemon) -> Record:
    (record,) = daemon.records.all()
    return record


def attempts(daemon: Daemon) -> int:
    return int(daemon.records.folder(record_of(daemon).name).path.joinpath("attempts").read_text())


def has_reported(daemon: Daemon) -> bool:
    return any(daemon.records.folder(record.name).status.exists() for record in daemon.records.all())


def forgetful_once(monkeypatch: pytest.MonkeyPatch) -> MemoryQueue:
    """A queue that loses the lock on the first delivery of a message."""
    monkeypatch.setattr(memory, "LOCK_SECONDS", 0.3)

    class ForgetfulOnce(MemoryQueue):
        async def renew_lock(self, delivery: Delivery) -> None:
            if delivery.attempt == 1:
                monkeypatch.setattr(memory, "LOCK_SECONDS", PATIENCE_SECONDS)  # the next delivery keeps it
                raise LostMessageError(f"the lock on message {delivery.id} was lost")
            await super().renew_lock(delivery)

    return ForgetfulOnce(asyncio.get_running_loop().time)


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


async def test_a_trainer_that_hangs_is_stopped_and_counts_as_failed(build: Build) -> None:
    daemon = build(backoff_limit=0, silence_seconds=0.2)
    daemon.queue.send(body(ends=["wait"]))
    await daemon.run_until(lambda: daemon.queue.dead_letters and daemon.sender.posts)
    ((_, reason, message),) = daemon.queue.dead_letters
    assert (reason, daemon.sender.states) == ("NoProgress", ["failed"])
    assert "trainer.restartStalledAfterSeconds" in message


async def test_a_script_that_reports_no_progress_is_not_stopped(build: Build) -> None:
    daemon = build(backoff_limit=0, silence_seconds=0.2)
    daemon.queue.send(body(ends=["script"]))
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert daemon.sender.states == ["succeeded"]


async def test_a_message_that_is_no_message_is_put_aside_without_a_record(build: Build) -> None:
    daemon = build()
    daemon.queue.send("no JSON")
    await daemon.run_until(lambda: daemon.queue.dead_letters)
    assert daemon.queue.dead_letters[0][1] == "NotJSON"
    assert list(daemon.records.all()) == []


async def test_a_stopping_daemon_gives_the_message_back_and_the_next_one_goes_on(build: Build) -> None:
    first = build()
    first.queue.send(body(ends=["wait", 0]))
    await first.run_until(lambda: has_reported(first))
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
    daemon = build(forgetful_once(monkeypatch), slots=2)
    daemon.queue.send(body(ends=["slow"]), "m")
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert (attempts(daemon), daemon.sender.states, daemon.queue.attempts) == (1, ["succeeded"], 2)


async def test_a_message_that_waits_for_a_training_with_an_internal_error_is_delivered_again(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = build(forgetful_once(monkeypatch), slots=2)
    put, failures = daemon.records.put, [ZeroDivisionError()]

    def fail_once_at_the_end(record: Record) -> None:
        if record.outcome and failures:
            raise failures.pop()
        put(record)

    monkeypatch.setattr(daemon.records, "put", fail_once_at_the_end)
    daemon.queue.send(body(ends=["slow"]), "m")
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert (attempts(daemon), daemon.sender.states, daemon.queue.attempts) == (1, ["succeeded"], 3)


async def test_a_stopping_daemon_waits_for_a_trainer_whose_message_was_lost(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer saves a checkpoint, in a work folder that must not be removed meanwhile."""
    monkeypatch.setattr(memory, "LOCK_SECONDS", 0.3)

    class Taken(MemoryQueue):
        async def renew_lock(self, delivery: Delivery) -> None:
            self._messages.clear()
            raise LostMessageError(f"message {delivery.id} was taken by another receiver")

    daemon = build(Taken(asyncio.get_running_loop().time))
    daemon.queue.send(body(ends=["wait"]))
    await daemon.run_until(lambda: not len(daemon.queue) and has_reported(daemon) and not daemon.receiver._in_flight)
    assert (attempts(daemon), record_of(daemon).outcome) == (1, None)
    assert not daemon.records.folder(record_of(daemon).name).process.exists()


async def test_a_message_sent_again_is_trained_if_nobody_trains_the_first(build: Build) -> None:
    """The service has dead-lettered it, after too many deliveries."""
    first = build()
    first.queue.send(body(ends=["wait", 0]), "m", "1")
    await first.run_until(lambda: has_reported(first))
    second = build()
    second.queue.send(body(ends=["wait", 0]), "m", "2")
    await second.run_until(lambda: not len(second.queue) and second.sender.posts)
    assert (attempts(second), second.sender.states, record_of(second).outcome) == (2, ["succeeded"], "succeeded")


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


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ZeroDivisionError()])
async def test_a_message_that_cannot_be_trained_now_keeps_its_slot_so_that_the_others_stay_in_the_queue(
    build: Build, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    daemon, calls = build(), [0]

    def fail(_: Record) -> None:
        calls[0] += 1
        raise error

    monkeypatch.setattr(daemon.records, "put", fail)
    for _ in range(5):
        daemon.queue.send(body())
    await daemon.run_until(lambda: calls[0] == 3)
    assert (daemon.queue.attempts, len(daemon.queue)) == (1, 5)


async def test_a_daemon_that_stops_while_the_disk_is_full_gives_the_message_back_at_once(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = build()

    def fail(_: Record) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(daemon.records, "put", fail)
    daemon.queue.send(body())
    receiving = asyncio.create_task(daemon.receiver.run())
    await until(lambda: daemon.receiver._in_flight)
    receiving.cancel()
    daemon.parts.stopping.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await daemon.receiver.finish(2 * PATIENCE_SECONDS)
    assert len(await daemon.queue.receive(1, 0)) == 1


async def test_a_failed_attempt_counts_even_if_it_cannot_be_recorded_at_once(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = build(backoff_limit=1)
    put = daemon.records.put

    def fail_after_the_first_attempt(record: Record) -> None:
        if record.failures == 1 and record.outcome is None and not failed:
            failed.append(record)
            raise OSError(28, "No space left on device")
        put(record)

    failed: list[Record] = []
    monkeypatch.setattr(daemon.records, "put", fail_after_the_first_attempt)
    daemon.queue.send(body(ends=[75]))
    await daemon.run_until(lambda: daemon.queue.dead_letters)
    assert (attempts(daemon), len(failed)) == (2, 1)


async def test_a_trainer_whose_process_cannot_be_recorded_is_ended_before_the_next_is_started(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = build()
    write, started, running = ProcessId.write, list[ProcessId](), list[bool]()

    def fail_once(process: ProcessId, file: Path) -> None:
        running.append(any(earlier.is_running for earlier in started))
        started.append(process)
        if len(started) == 1:
            while not file.with_name("attempts").exists():
                time.sleep(0.01)
            raise OSError(28, "No space left on device")
        write(process, file)

    monkeypatch.setattr(ProcessId, "write", fail_once)
    daemon.queue.send(body(ends=["wait", 0]))
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert (attempts(daemon), daemon.sender.states, running) == (2, ["succeeded"], [False, False])


async def test_the_work_of_a_training_is_removed_beside_the_renewal_of_locks(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be millions of files."""
    threads, remove = set[threading.Thread](), shutil.rmtree

    def recorded(path: Path, *, ignore_errors: bool) -> None:
        threads.add(threading.current_thread())
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", recorded)
    daemon = build()
    daemon.queue.send(body())
    await daemon.run_until(lambda: not len(daemon.queue) and daemon.sender.posts)
    assert threads
    assert threading.main_thread() not in threads


async def test_a_rejected_message_needs_no_slot_while_its_callback_is_posted(build: Build) -> None:
    daemon = build()
    send = daemon.sender.send

    async def send_failed_last(url: str, webhook_id: str, post: dict[str, Any], *_: object) -> None:
        if post["state"] == "failed":
            await until(lambda: daemon.sender.posts)
        await send(url, webhook_id, post)

    daemon.sender.send = send_failed_last  # type: ignore[method-assign, assignment]
    daemon.queue.send(json.dumps(URLS | {"plugin": "unknown"}))
    daemon.queue.send(body())
    await daemon.run_until(lambda: not len(daemon.queue) and len(daemon.sender.posts) == 2)
    assert daemon.sender.states == ["succeeded", "failed"]


async def test_a_message_with_an_outcome_needs_no_slot_while_the_queue_cannot_be_reached(build: Build) -> None:
    first = build()
    first.queue.send(body(), "trained")
    await first.run_until(lambda: first.sender.posts)

    class Unreachable(MemoryQueue):
        async def complete(self, delivery: Delivery) -> bool:
            if delivery.id == "trained" and not second.sender.posts:
                raise SourceUnavailableError("no route")
            return await super().complete(delivery)

    second = build(Unreachable(asyncio.get_running_loop().time))
    second.queue.send(body(), "trained")
    second.queue.send(body(), "new")
    await second.run_until(lambda: not len(second.queue))
    assert second.sender.states == ["succeeded"]


async def test_each_attempt_reports_only_its_own_progress(build: Build) -> None:
    daemon = build(backoff_limit=1)
    daemon.queue.send(body(ends=[75, "silent"]))
    await daemon.run_until(lambda: daemon.queue.dead_letters and daemon.sender.posts)
    assert (attempts(daemon), record_of(daemon).report) == (2, None)


async def test_without_its_record_a_model_counts_as_that_of_another_message(build: Build) -> None:
    first = build()
    first.queue.send(body(), "m")
    await first.run_until(lambda: not len(first.queue) and first.sender.posts)
    first.records.folder(record_of(first).name).record.write_text("damaged")
    second = build()
    second.queue.send(body(), "m")
    await second.run_until(lambda: not len(second.queue) and second.sender.posts)
    assert (attempts(second), second.sender.states) == (2, ["succeeded"])


async def test_a_training_that_kills_the_daemon_again_and_again_fails(build: Build) -> None:
    first = build()
    first.queue.send(body(ends=["wait"]))
    await first.run_until(lambda: has_reported(first))
    first.records.put(dataclasses.replace(record_of(first), crashes=MAX_CRASHES))
    second = build(first.queue)
    await second.run_until(lambda: second.queue.dead_letters and second.sender.posts)
    ((_, reason, message),) = second.queue.dead_letters
    assert (reason, attempts(second)) == ("DaemonKilled", 1)
    assert message.startswith("The daemon was killed 10 times during this training")


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


async def test_another_message_with_the_id_of_one_that_can_not_be_recorded_does_not_join_its_training(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon, slots = build(slots=2), Slots([Slot(0), Slot(1)])
    trainings, failures = daemon.receiver._trainings, list[Record]()

    def fail(record: Record) -> None:
        failures.append(record)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(daemon.records, "put", fail)
    first, other = (
        Delivery("m", body(number=number).encode(), 1, PATIENCE_SECONDS, None, str(number), None) for number in (1, 2)
    )
    training = asyncio.create_task(trainings.train(first, await slots.take()))
    await until(lambda: failures)
    with pytest.raises(StateUnavailableError, match="has no record yet"):
        await trainings.train(other, await slots.take())
    training.cancel()
    daemon.parts.stopping.set()
    await asyncio.gather(*trainings.running)


async def test_no_error_after_the_trainer_hides_how_it_ended(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = build()

    async def fail(_: TrainerProcess) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(TrainerProcess, "clean_up", fail)
    daemon.queue.send(body(ends=[65]))
    await daemon.run_until(lambda: daemon.queue.dead_letters)
    assert (attempts(daemon), daemon.sender.states) == (1, ["failed"])
