"""What is mounted where, as the kernel says."""

import subprocess
from pathlib import Path


def is_mounted(path: Path) -> bool:
    """Whether something is mounted exactly here; unlike :meth:`Path.is_mount` it sees bind mounts within one file system."""
    return str(path) in _mounts()


def unmount_below(folder: Path) -> None:
    """Unmount everything below a folder, the deepest first, as often as it is mounted."""
    for mount in sorted((mount for mount in _mounts() if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)


def _mounts() -> list[str]:
    lines = Path("/proc/mounts").read_text().splitlines()
    return [line.split()[1].encode().decode("unicode_escape") for line in lines]
