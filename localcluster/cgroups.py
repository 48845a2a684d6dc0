"""The cluster's top control group, which all pods live in: one folder with cgroup v2, one a controller with v1."""

import os
from contextlib import suppress
from pathlib import Path

from localcluster.settings import NAME

_ROOT = Path("/sys/fs/cgroup")


def ensure_cgroups(root: Path = _ROOT) -> None:
    """Make the control group; the kubelet wants to find it."""
    for folder in _folders(root):
        folder.mkdir(exist_ok=True)
        if _is_v2(root):
            _hand_down_controllers(root)
            _hand_down_controllers(folder)
        else:
            _copy_processors(folder)


def remove_cgroups(root: Path = _ROOT) -> None:
    """Remove the control group, its deepest folders first; they have to be empty of processes."""
    for top in _folders(root):
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(
                OSError
            ):  # the kernel still counts a process that has just ended: the next `up` uses it as it is
                Path(folder).rmdir()


def _is_v2(root: Path) -> bool:
    return (root / "cgroup.controllers").exists()


def _folders(root: Path) -> list[Path]:
    if _is_v2(root):
        return [root / NAME]
    return [folder / NAME for folder in root.iterdir() if folder.is_dir() and not folder.is_symlink()]


def _hand_down_controllers(folder: Path) -> None:
    """Let the groups below use each controller that this one has.

    One a write, since the kernel refuses a whole write for one controller that it can't hand down. What the kubelet can't do
    without, it names itself.
    """
    file = folder / "cgroup.controllers"
    for name in file.read_text().split() if file.exists() else ():
        with suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{name}")


def _copy_processors(folder: Path) -> None:
    """With v1 a new group may use no processor and no memory node, and then no process may enter it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (folder / name).exists() and not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())
