"""Kill a process with SIGKILL while it saves a checkpoint into a folder: before a file, halfway through it, or after it.

Run as a program, it is the trainer: `python -m tests.support.kill_during_save KILL_POINT ARGUMENTS_OF_THE_TRAINER...`.
"""

import os
import runpy
import signal
import sys
from pathlib import Path

from vott_trainer.atomic_write import partial_path
from vott_trainer.stores.checkpoint_location import PROBE
from vott_trainer.stores.folder import FolderStore
from vott_trainer.stores.store import StoredObject

KILL_POINTS_PER_FILE = 3  # a checkpoint is two files: its slot, then the index


def kill_at(kill_point: int) -> None:
    """Have this process killed at that point, counted from 1 over all files that it saves."""
    remaining, put = kill_point, FolderStore.put

    def pass_kill_point() -> None:
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def put_in_steps(store: FolderStore, file: Path, name: str) -> StoredObject:
        if name.endswith(PROBE):
            return put(store, file, name)
        pass_kill_point()
        half = file.read_bytes()[: file.stat().st_size // 2]
        partial_path(store.folder / name).parent.mkdir(parents=True, exist_ok=True)
        partial_path(store.folder / name).write_bytes(half)
        pass_kill_point()
        stored = put(store, file, name)
        pass_kill_point()
        return stored

    FolderStore.put = put_in_steps  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    kill_at(int(sys.argv.pop(1)))
    runpy.run_module("vott_trainer", run_name="__main__", alter_sys=True)
