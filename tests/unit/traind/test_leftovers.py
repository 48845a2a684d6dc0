"""A start clears what a killed daemon has left behind."""

import os
import subprocess
from pathlib import Path

import pytest

from vott_traind.folders import StateFolder, TrainingFolder
from vott_traind.leftovers import clear_leftovers
from vott_traind.processes import ProcessId
from vott_traind.records import Outcome, Record, Records


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


@pytest.fixture
def records(state: StateFolder) -> Records:
    return Records(state)


def left_behind(records: Records, name: str = "vott-1", outcome: Outcome | None = None) -> TrainingFolder:
    """Write what a daemon that is killed during an attempt leaves in the state folder."""
    records.put(Record(name=name, queue="q", message_id="m", digest="d", started=1.0, outcome=outcome))
    folder = records.folder(name)
    ProcessId(os.getpid(), 1, "another boot").write(folder.process)
    folder.urls.mkdir()
    (folder.urls / "model").write_text("https://store/?sig=secret")
    return folder


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "60"])


async def test_urls_and_work_are_removed(state: StateFolder, records: Records, tmp_path: Path) -> None:
    folder = left_behind(records)
    (tmp_path / "work/slot-3/work").mkdir(parents=True)
    await clear_leftovers(state, records, tmp_path / "work", 0.1)
    assert not folder.urls.exists()
    assert list((tmp_path / "work").iterdir()) == []


async def test_each_interrupted_attempt_counts_once(state: StateFolder, records: Records, tmp_path: Path) -> None:
    left_behind(records)
    left_behind(records, "vott-2", "succeeded")
    for _ in range(2):
        await clear_leftovers(state, records, tmp_path / "work", 0.1)
    assert [record.crashes for record in records.all()] == [1, 0]


async def test_a_trainer_is_ended_even_if_the_disk_is_full(
    state: StateFolder,
    records: Records,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = left_behind(records)
    trainer = sleeper()
    process = ProcessId.of(trainer.pid)
    assert process is not None
    process.write(folder.process)

    def fail(_: Record) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records, "put", fail)
    await clear_leftovers(state, records, tmp_path / "work", 0.1)
    assert trainer.wait(30) == -9
    assert "No space left" in caplog.text
