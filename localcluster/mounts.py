"""Unmount folders."""

import subprocess
from pathlib import Path

from localcluster.errors import LocalClusterError


def unmount_below(folder: Path, *, itself: bool = False) -> None:
    """Unmount everything below a folder (and the folder ``itself``), deepest first, including repeated mounts.

    Raises:
        LocalClusterError: A mount remains; don't remove the folder then, because the mount may contain foreign files.
    """
    mounts = [mount for mount in _mounts() if mount.startswith(f"{folder}/") or (itself and mount == str(folder))]
    for mount in sorted(mounts, reverse=True):
        done = subprocess.run(["umount", "--lazy", mount], capture_output=True, text=True, check=False)
        if done.returncode != 0 and mount in _mounts():
            raise LocalClusterError(f"{mount} can't be unmounted: {done.stderr.strip()}")


def _mounts() -> list[str]:
    lines = Path("/proc/mounts").read_text().splitlines()
    return [line.split()[1].encode().decode("unicode_escape") for line in lines]
