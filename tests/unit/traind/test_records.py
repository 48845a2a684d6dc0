"""Records survive restarts, are found by their message, and expire."""

import dataclasses
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vott_messaging import names
from vott_messaging.callbacks.payload import ProgressReport
from vott_messaging.queues.base import Delivery
from vott_traind.folders import StateFolder
from vott_traind.identity import identify
from vott_traind.records import KEPT_SECONDS, Record, Records

QUEUE = "storage://account/training"
NOW = 1_800_000_000.0


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(StateFolder(tmp_path), lambda: NOW)


def record(name: str = "vott-1", **fields: object) -> Record:
    values = {"name": name, "queue": QUEUE, "message_id": "m", "digest": "d", "started": NOW} | fields
    return Record(**values)  # type: ignore[arg-type]


def delivery(message_id: str = "m", sequence: str = "", sent: float | None = None) -> Delivery:
    enqueued = None if sent is None else datetime.fromtimestamp(sent, UTC)
    return Delivery(message_id, b"", 1, 30.0, None, sequence, enqueued)


def test_a_record_is_the_same_after_a_restart(records: Records, tmp_path: Path) -> None:
    written = record(
        outcome="failed", reason="NoUsableImages", callback="https://c/?t=1", report=ProgressReport(percent=3)
    )
    records.put(written)
    assert Records(StateFolder(tmp_path)).get("vott-1") == written
    assert list(records.all()) == [written]


def test_only_the_own_user_can_read_records(records: Records, tmp_path: Path) -> None:
    records.put(record())
    assert (tmp_path / "trainings/vott-1").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', '{"report": {"unknown": 1}}'])
def test_a_damaged_record_counts_as_none(records: Records, text: str) -> None:
    records.put(record())
    records.folder("vott-1").record.write_text(text)
    assert records.get("vott-1") is None


def test_records_expire_with_their_folders_once_the_queue_cannot_deliver_the_message(records: Records) -> None:
    kept = {
        "vott-new": (record("vott-new"), 1),
        "vott-pending": (record("vott-pending", outcome="failed", callback="https://c/"), KEPT_SECONDS + 1),
        "vott-running": (record("vott-running"), KEPT_SECONDS + 1),
    }
    old = {"vott-old": (record("vott-old", outcome="succeeded"), KEPT_SECONDS + 1)}
    for name, (written, age) in (kept | old).items():
        records.put(written)
        os.utime(records.folder(name).record, (NOW - age, NOW - age))
    records.folder("vott-running").process.touch()
    records.remove_expired()
    assert [found.name for found in records.all()] == sorted(kept)
    assert not records.folder("vott-old").path.exists()


def test_a_record_that_cannot_be_removed_does_not_keep_the_others(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("vott-1", "vott-2"):
        records.put(record(name))
        os.utime(records.folder(name).record, (0, 0))
    remove = shutil.rmtree

    def remove_all_but_the_first(path: Path) -> None:
        if path.name == "vott-1":
            raise PermissionError(13, "Permission denied")
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", remove_all_but_the_first)
    records.remove_expired()
    assert [found.name for found in records.all()] == ["vott-1"]


def test_a_redelivered_message_finds_its_record(records: Records) -> None:
    new = identify(records, QUEUE, delivery(), "d", NOW)
    assert new == record(names.training(QUEUE, "m"))
    records.put(new)
    assert identify(records, QUEUE, delivery(), "d", NOW + 9) == new


def test_another_message_with_the_same_id_is_another_training(records: Records) -> None:
    first = identify(records, QUEUE, delivery(sequence="1"), "d", NOW)
    records.put(first)
    second = identify(records, QUEUE, delivery(sequence="2"), "other", NOW)
    assert second.name == names.training(QUEUE, "m", "2")
    records.put(second)
    assert identify(records, QUEUE, delivery(sequence="2"), "other", NOW) == second
    assert identify(records, QUEUE, delivery(sequence="1"), "d", NOW) == first


@pytest.mark.parametrize(
    ("outcome", "sent", "is_resent"),
    [
        (None, NOW, True),
        ("succeeded", NOW, True),
        ("succeeded", NOW + 400, False),
        ("succeeded", NOW + 200, False),  # before the end by this machine's clock, which may be ahead
        ("failed", NOW, False),
        ("succeeded", None, False),
    ],
)
def test_the_same_message_sent_again_before_the_end_has_the_first_one_s_training(
    records: Records, outcome: str | None, sent: float | None, is_resent: bool
) -> None:
    new = identify(records, QUEUE, delivery(sequence="1"), "d", NOW)
    first = dataclasses.replace(new, outcome=outcome, ended=NOW + 310 if outcome else 0.0)  # type: ignore[arg-type]
    records.put(first)
    found = identify(records, QUEUE, delivery(sequence="2", sent=sent), "d", NOW)
    assert (found == first) is is_resent
