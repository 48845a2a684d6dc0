"""What the list of checkpoints may say: it lies where others may write, and chooses no names."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from vott_trainer.checkpoints import Checkpoints, Reached
from vott_trainer.stores.folder import FolderStore

KEPT = {
    "work": "w", "epoch": 2, "step": 3, "fraction": 0.5,
    "url": "https://store/1.pt", "slot": "1.pt", "sha256": "0" * 64, "time": "2026-01-01T00:00:00Z",
}  # fmt: skip


def looked(tmp_path: Path, **said: Any) -> Checkpoints:
    """The checkpoints of a store whose list says that, after a look at it."""
    return listed(tmp_path, [KEPT | said])


def listed(tmp_path: Path, entries: list[dict[str, Any]]) -> Checkpoints:
    (store := tmp_path / "store").mkdir()
    (store / "index.json").write_text(json.dumps({"checkpoints": entries}), encoding="utf-8")
    checkpoints = Checkpoints(FolderStore(store), tmp_path / "work", 60.0)
    checkpoints.look()
    return checkpoints


@pytest.mark.parametrize(
    "said",
    [
        {"slot": "../../other/x"},
        {"slot": "2.pt"},
        {"slot": "/1.pt"},
        {"sha256": "0" * 63},
        {"sha256": "0" * 64 + "\n"},
        {"time": "2026-01-01T00:00:00Z" * 2},
        {"time": "now"},
        {"epoch": -1},
        {"step": -1},
        {"fraction": -0.5},
    ],
    ids=str,
)
def test_list_that_says_what_no_training_writes_is_passed_over(said: dict[str, Any], tmp_path: Path) -> None:
    checkpoints = looked(tmp_path, **said)
    assert checkpoints.newest is None
    assert checkpoints.why_anew.startswith("The list of checkpoints could not be read (")


def test_object_outside_of_the_slots_is_not_fetched_whatever_the_list_says(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x")
    checkpoints = looked(tmp_path, slot="../other", sha256=hashlib.sha256(b"x").hexdigest())
    (tmp_path / "work" / "found-..").mkdir()
    assert checkpoints.fetch("w") is None


def test_list_of_more_checkpoints_than_slots_is_passed_over(tmp_path: Path) -> None:
    assert listed(tmp_path, [KEPT] * 3).newest is None


def test_list_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    checkpoints = looked(tmp_path, more="x" * 70_000)
    assert checkpoints.newest is None
    assert "larger than 65,536 bytes" in checkpoints.why_anew


def test_place_of_a_checkpoint_is_told_from_the_store_not_from_the_list(tmp_path: Path) -> None:
    newest = looked(tmp_path, url="https://evil.example/" + "x" * 1000).newest
    assert newest is not None
    assert newest.url == (tmp_path / "store" / "1.pt").as_uri()


def _write(path: Path) -> None:
    path.write_bytes(b"weights")


def test_what_a_training_writes_is_read_again(tmp_path: Path) -> None:
    first = Checkpoints(FolderStore(tmp_path / "store"), tmp_path / "first", 60.0)
    for step in range(3):
        assert first.save(_write, Reached("w", 1, step, 1.0))
    second = Checkpoints(FolderStore(tmp_path / "store"), tmp_path / "second", 60.0)
    assert second.look() == first.newest
    found = second.fetch("w")
    assert found is not None
    assert found[1].read_bytes() == b"weights"
