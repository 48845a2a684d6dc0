"""The checkpoint index, which others may have written, and kills while a checkpoint is saved."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.kill_during_save import KILL_POINTS_PER_FILE
from vott_trainer.plugin_api import TrainingPosition
from vott_trainer.stores.checkpoints import Checkpoints
from vott_trainer.stores.folder import FolderStore

INDEX_ENTRY = {
    "work": "w", "epoch": 2, "step": 3, "fraction": 0.5,
    "url": "https://store/1.pt", "slot": "1.pt", "sha256": "0" * 64, "time": "2026-01-01T00:00:00Z",
}  # fmt: skip

KILL_POINTS_PER_CHECKPOINT = 2 * KILL_POINTS_PER_FILE
SAVE_UNTIL_KILLED = """
import sys
from pathlib import Path
from tests.support.kill_during_save import kill_at
from vott_trainer.plugin_api import TrainingPosition
from vott_trainer.stores.checkpoints import Checkpoints
from vott_trainer.stores.folder import FolderStore
checkpoints = Checkpoints(FolderStore(Path(sys.argv[1])), Path(sys.argv[2]), 60.0)
checkpoints.read_index()
found = checkpoints.fetch("w")
kill_at(int(sys.argv[3]))
for step in range(found[0].step + 1 if found else 1, 99):
    checkpoints.save(lambda path: path.write_text(f"weights {step} of {sys.argv[2]}"), TrainingPosition("w", 1, step, 1.0))
"""


def with_entry(tmp_path: Path, **fields: Any) -> Checkpoints:
    """Read an index with one entry, which has these fields changed."""
    return with_index(tmp_path, [INDEX_ENTRY | fields])


def with_index(tmp_path: Path, entries: list[dict[str, Any]]) -> Checkpoints:
    (store := tmp_path / "store").mkdir()
    (store / "index.json").write_text(json.dumps({"checkpoints": entries}), encoding="utf-8")
    checkpoints = Checkpoints(FolderStore(store), tmp_path / "work", 60.0)
    checkpoints.read_index()
    return checkpoints


@pytest.mark.parametrize(
    "fields",
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
def test_invalid_entry_makes_the_index_unreadable(fields: dict[str, Any], tmp_path: Path) -> None:
    checkpoints = with_entry(tmp_path, **fields)
    assert checkpoints.newest is None
    assert checkpoints.restart_reason.startswith("The checkpoint index could not be read (")


def test_no_object_but_the_slots_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x")
    checkpoints = with_entry(tmp_path, slot="../other", sha256=hashlib.sha256(b"x").hexdigest())
    (tmp_path / "work" / "found-..").mkdir()
    assert checkpoints.fetch("w") is None


def test_index_with_more_entries_than_slots_is_ignored(tmp_path: Path) -> None:
    assert with_index(tmp_path, [INDEX_ENTRY] * 3).newest is None


def test_too_large_index_is_not_read(tmp_path: Path) -> None:
    checkpoints = with_entry(tmp_path, more="x" * 70_000)
    assert checkpoints.newest is None
    assert "larger than 65,536 bytes" in checkpoints.restart_reason


def test_url_of_a_checkpoint_comes_from_the_store_not_from_the_index(tmp_path: Path) -> None:
    newest = with_entry(tmp_path, url="https://evil.example/" + "x" * 1000).newest
    assert newest is not None
    assert newest.url == (tmp_path / "store" / "1.pt").as_uri()


def _write(path: Path) -> None:
    path.write_bytes(b"weights")


def test_saved_checkpoint_is_fetched(tmp_path: Path) -> None:
    first = Checkpoints(FolderStore(tmp_path / "store"), tmp_path / "first", 60.0)
    for step in range(3):
        assert first.save(_write, TrainingPosition("w", 1, step, 1.0))
    second = Checkpoints(FolderStore(tmp_path / "store"), tmp_path / "second", 60.0)
    assert second.read_index() == first.newest
    found = second.fetch("w")
    assert found is not None
    assert found[1].read_bytes() == b"weights"


def killed_at(kill_point: int, tmp_path: Path) -> None:
    """Continue from the store, and be killed at that point of a save."""
    program = [sys.executable, "-c", SAVE_UNTIL_KILLED, str(tmp_path / "store"), str(tmp_path / f"work-{kill_point}")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*program, str(kill_point)], env=environment, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr


def newest_intact_step(tmp_path: Path) -> int:
    """Step of the checkpoint that the next attempt fetches, 0 for none; checks its content."""
    checkpoints = Checkpoints(FolderStore(tmp_path / "store"), tmp_path / "next", 60.0)
    checkpoints.read_index()
    found = checkpoints.fetch("w")
    if not found:
        return 0
    assert found[1].read_text(encoding="utf-8").startswith(f"weights {found[0].step} ")
    return found[0].step


@pytest.mark.parametrize("kill_point", range(1, 2 * KILL_POINTS_PER_CHECKPOINT + 1))
def test_kill_while_saving_leaves_the_previous_checkpoint(kill_point: int, tmp_path: Path) -> None:
    killed_at(kill_point, tmp_path)
    assert newest_intact_step(tmp_path) == kill_point // KILL_POINTS_PER_CHECKPOINT


@pytest.mark.parametrize("kill_point", range(1, KILL_POINTS_PER_CHECKPOINT + 1))
def test_kill_while_saving_leaves_the_older_checkpoint_if_the_newest_is_damaged(
    kill_point: int, tmp_path: Path
) -> None:
    killed_at(2 * KILL_POINTS_PER_CHECKPOINT, tmp_path)
    newest, older = index_entries(tmp_path)
    (tmp_path / "store" / newest["slot"]).write_bytes(b"damaged")
    killed_at(kill_point, tmp_path)
    assert newest_intact_step(tmp_path) == (2 if kill_point == KILL_POINTS_PER_CHECKPOINT else 1)
    assert older in index_entries(tmp_path)


def index_entries(tmp_path: Path) -> list[dict[str, Any]]:
    """The entries of the index, newest first."""
    content = (tmp_path / "store" / "index.json").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = json.loads(content)["checkpoints"]
    return entries
