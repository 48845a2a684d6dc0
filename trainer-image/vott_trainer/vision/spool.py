"""Decoded images on disk: reading one takes less time than decoding its file again."""

import contextlib
import logging
import os
import shutil
import stat
import threading
import weakref
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vott_trainer.process.environment import whole_number
from vott_trainer.process.ranks import Ranks

log = logging.getLogger(__name__)

SHARE = 0.5  # of what the work folder may still take; the rest is for checkpoints and the model
FREE_BYTES = 5 << 30  # of the disk stay free
FREE_FRACTION = 0.2  # of a node's disk: by default, it evicts pods when 10 or 15 % are left
VOLUME, POD = "VOTT_WORK_BYTES", "VOTT_EPHEMERAL_BYTES"  # limits on a node


class Place(NamedTuple):
    """Where an image is: `offset` in the file, and its shape."""

    offset: int
    shape: tuple[int, ...]


class Spool:
    """A file of this process in the work folder, with raw uint8 images. Safe for several threads.

    It is removed with the folder. Not memory-mapped: a full or failing disk is then an error of a call instead of SIGBUS, and the thread
    that reads ahead waits for the disk instead of the one that builds the batch.

    Args:
        folder: the work folder.
        limit: bytes; by default this process's share of what may be used, determined when the first image is added.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self._folder, self._limit = folder, limit
        self._end, self._full, self._changing = 0, False, threading.Lock()

    def add(self, pixels: Tensor) -> Place | None:
        """Write an image; return its place, or None if there is no space."""
        size = pixels.nbytes
        try:
            with self._changing:
                if self._full or not self._has_space(size):
                    return None
                file, offset = self._file, self._end
                self._end += size
            if os.pwrite(file, pixels.contiguous().numpy().data, offset) == size:
                return Place(offset, tuple(pixels.shape))
            self._stop("the disk is full")
        except OSError as error:
            self._stop(str(error))
        return None

    def read(self, place: Place) -> Tensor | None:
        """Read an image; None if the disk fails."""
        pixels = np.empty(place.shape, np.uint8)
        try:
            if os.preadv(self._file, [pixels.data], place.offset) == pixels.nbytes:
                return torch.from_numpy(pixels)
        except OSError as error:
            log.warning("a decoded image can't be read, it is decoded again: %s", error)
        return None

    @cached_property
    def _file(self) -> int:
        path = self._folder / f"decoded-{Ranks.from_environment().local_rank}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, file)
        return file

    @cached_property
    def _most_bytes(self) -> int:
        return usable_bytes(self._folder) if self._limit is None else self._limit

    def _has_space(self, size: int) -> bool:
        """Whether an image fits, and others have not filled the disk meanwhile."""
        if self._end + size <= self._most_bytes and free_bytes(self._folder) >= size:
            return True
        self._stop(f"{self._end >> 20} MiB are in use, and more would be too much for the disk or the volume")
        return False

    def _stop(self, reason: str) -> None:
        """Add nothing more; the images that are in the file stay."""
        if not self._full:
            log.warning("no more decoded images are kept on disk, the others are decoded in each epoch: %s", reason)
        self._full = True


def usable_bytes(folder: Path, environment: Mapping[str, str] = os.environ) -> int:
    """Return how many bytes this process may write to the work folder.

    The folder is limited by its disk, by the size of its volume, and by the pod's ephemeral storage.
    """
    limits = [number for name in (VOLUME, POD) if (number := whole_number(environment, name, 0, minimum=0))]
    free = min([free_bytes(folder, environment), *(limit - used_bytes(folder) for limit in limits)])
    return max(0, int(free * SHARE)) // Ranks.from_environment(environment).local_world_size


def free_bytes(folder: Path, environment: Mapping[str, str] = os.environ) -> int:
    """Return how much of the folder's disk is free, without what has to stay free."""
    disk = shutil.disk_usage(folder)
    return disk.free - (int(disk.total * FREE_FRACTION) if environment.get(VOLUME) else FREE_BYTES)


def used_bytes(folder: Path) -> int:
    """Return the size of all files in the folder, without those of other volumes that are mounted in it."""
    device, used = folder.stat().st_dev, 0
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
            status = file.lstat()
            used += status.st_size if stat.S_ISREG(status.st_mode) and status.st_dev == device else 0
    return used
