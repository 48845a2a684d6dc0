"""What the list of checkpoints may say: it lies where others may write, and chooses no names."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.kill_during_save import KILL_POINTS_PER_FILE
from vott_trainer.plugin_api import Reached
from vott_trainer.stores.checkpoints import Checkpoints
from vott_trainer.stores.folder import FolderStore

KEPT = {
    "work": "w", "epoch": 2, "step": 3, "fraction": 0.5,
    "url": "https://store/1.pt", "slot": "1.pt", "sha256": "0" * 64, "time": "2026-01-01T00:00:00Z",
}  # fmt: skip

KILL_POINTS_PER_CHECKPOINT = 2 * KILL_POINTS_PER_FILE
SAVE_UNTIL_KILLED = """
import sys
from pathlib import Path
from tests.support.kill_during_save import kill_at
from vott_trainer.plugin_api import Reached
from vott_trainer.stores.checkpoints import Checkpoints
from vott_trainer.stores.folder import FolderStore
checkpoints = Checkpoints(FolderStore(Path(sys.argv[1])), Path(sys.argv[2]), 60.0)
checkpoints.read_index()
found = checkpoints.fetch("w")
kill_at(int(sys.argv[3]))
for step in range(found[0].step + 1 if found else 1, 99):
    checkpoints.save(lambda path: path.write_text(f"weights {step} of {sys.argv[2]}"), Reached("w", 1, step, 1.0))
"""


def looked(tmp_path: Path, **said: Any) -> Checkpoints:
    """The checkpoints of a store whose list says that, after a look at it."""
    return listed(tmp_path, [KEPT | said])


def listed(tmp_path: Path, entries: list[dict[str, Any]]) -> Checkpoints:
    (store := tmp_path / "store").mkdir()
    (store / "index.json").write_text(json.dumps({"checkpoints": entries}), encoding="utf-8")
    checkpoints = Checkpoints(FolderStore(store), tmp_path / "work", 60.0)
    checkpoints.read_index()
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
    assert checkpoints.restart_reason.startswith("The checkpoint index could not be read (")


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
    assert "larger than 65,536 bytes" in checkpoints.restart_reason


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


def whole(tmp_path: Path) -> int:
    """The step of the checkpoint that the next attempt finds; its content is what was saved of that step."""
    checkpoints = Checkpoints(FolderStore(tmp_path / "store"), tmp_path / "next", 60.0)
    checkpoints.read_index()
    found = checkpoints.fetch("w")
    if not found:
        return 0
    assert found[1].read_text(encoding="utf-8").startswith(f"weights {found[0].step} ")
    return found[0].step


@pytest.mark.parametrize("kill_point", range(1, 2 * KILL_POINTS_PER_CHECKPOINT + 1))
def test_kill_inside_of_what_is_written_leaves_the_checkpoint_before(kill_point: int, tmp_path: Path) -> None:
    killed_at(kill_point, tmp_path)
    assert whole(tmp_path) == kill_point // KILL_POINTS_PER_CHECKPOINT


@pytest.mark.parametrize("kill_point", range(1, KILL_POINTS_PER_CHECKPOINT + 1))
def test_kill_while_the_next_one_is_written_leaves_the_checkpoint_that_stood_in_for_a_damaged_one(
    kill_point: int, tmp_path: Path
) -> None:
    killed_at(2 * KILL_POINTS_PER_CHECKPOINT, tmp_path)
    newest, before = kept(tmp_path)
    (tmp_path / "store" / newest["slot"]).write_bytes(b"damaged")
    killed_at(kill_point, tmp_path)
    assert whole(tmp_path) == (2 if kill_point == KILL_POINTS_PER_CHECKPOINT else 1)
    assert before in kept(tmp_path)


def kept(tmp_path: Path) -> list[dict[str, Any]]:
    """What the list says, the newest first."""
    content = (tmp_path / "store" / "index.json").read_text(encoding="utf-8")
    listed: list[dict[str, Any]] = json.loads(content)["checkpoints"]
    return listed
