"""The parent cgroup of all pods: one folder with cgroup v2, one folder per controller with v1."""

import os
from contextlib import suppress
from pathlib import Path

from localcluster.settings import NAME

_ROOT = Path("/sys/fs/cgroup")


def ensure_cgroups(root: Path = _ROOT) -> None:
    """Create the cgroup, which the kubelet requires."""
    for folder in _folders(root):
        folder.mkdir(exist_ok=True)
        if _is_v2(root):
            _delegate_controllers(root)
            _delegate_controllers(folder)
        else:
            _copy_cpuset(folder)


def remove_cgroups(root: Path = _ROOT) -> None:
    """Remove the cgroup, deepest folders first. It must not contain processes."""
    for top in _folders(root):
        for folder, _, _ in os.walk(top, topdown=False):
            # The kernel may still count a process that has just ended; the next `up` then reuses the folder.
            with suppress(OSError):
                Path(folder).rmdir()


def _is_v2(root: Path) -> bool:
    return (root / "cgroup.controllers").exists()


def _folders(root: Path) -> list[Path]:
    if _is_v2(root):
        return [root / NAME]
    return [folder / NAME for folder in root.iterdir() if folder.is_dir() and not folder.is_symlink()]


def _delegate_controllers(folder: Path) -> None:
    """Enable each of the cgroup's controllers for its children.

    One write per controller, because the kernel rejects a whole write for one that can't be enabled. The kubelet reports
    the controllers that it misses.
    """
    file = folder / "cgroup.controllers"
    for name in file.read_text().split() if file.exists() else ():
        with suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{name}")


def _copy_cpuset(folder: Path) -> None:
    """With v1 a new cgroup has no CPUs and memory nodes, so that no process could join it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (folder / name).exists() and not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())
