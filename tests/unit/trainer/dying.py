"""SIGKILL at a chosen moment of what a training writes into a folder: before a file, in the midst of it, or when it is whole."""

import os
import runpy
import signal
import sys
from pathlib import Path

from vott_trainer.stores.atomic_write import partial_path
from vott_trainer.stores.checkpoint_location import PROBE
from vott_trainer.stores.folder import FolderStore
from vott_trainer.stores.store import StoredObject

MOMENTS = 3  # of each file; a checkpoint is two files, first its slot, then the index


def die_at(moment: int) -> None:
    """Let this process be killed at that moment, counted from 1 over all files that it puts there."""
    left, put = moment, FolderStore.put

    def pass_moment() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(store: FolderStore, file: Path, name: str) -> StoredObject:
        if name.endswith(PROBE):
            return put(store, file, name)
        pass_moment()
        half = file.read_bytes()[: file.stat().st_size // 2]
        partial_path(store.folder / name).parent.mkdir(parents=True, exist_ok=True)
        partial_path(store.folder / name).write_bytes(half)
        pass_moment()
        stored = put(store, file, name)
        pass_moment()
        return stored

    FolderStore.put = dying  # type: ignore[method-assign, assignment]


if __name__ == "__main__":  # the trainer, with its own arguments behind the number of the moment
    die_at(int(sys.argv.pop(1)))
    runpy.run_module("vott_trainer", run_name="__main__", alter_sys=True)
