"""Programs that are not ours run without the pod's credentials: Landlock closes the folder that they are mounted in.

https://docs.kernel.org/userspace-api/landlock.html. Landlock only grants: a program is given each folder beside that one. It also keeps
the program from looking into processes outside of its domain, so that neither the environment nor the files of the trainer are a way around.
"""

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from vott_trainer.errors import BrokenPluginError

T = TypeVar("T")

CREDENTIALS = (Path("/run/secrets"), Path("/var/run/secrets"))
"""Where Kubernetes mounts the ServiceAccount's token, and AKS and EKS that of the cloud identity; mostly one folder."""
WITHOUT = "VOTT_SCRIPTS_WITHOUT_SANDBOX"
OWN = ("AWS_", "AZURE_", "KUBERNETES_", "TRAININGJOB_", "VOTT_")
"""Prefixes of the variables that tell the trainer of its credentials and places."""

# The same numbers on every architecture that has these calls (linux/landlock.h, linux/prctl.h).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # flag of CREATE_RULESET: tell the ABI
_PATH_BENEATH = 1  # type of a rule
_READ_FILE, _READ_DIR, _REFER = 1 << 2, 1 << 3, 1 << 13
_REFER_SINCE = 2  # ABI; before it no file can be moved to another folder
_SET_NO_NEW_PRIVS = 38
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def started(start: Callable[[], T], environment: Mapping[str, str] = os.environ) -> T:
    """Call `start`; the processes that it starts can't read what lies in the folders of `CREDENTIALS`.

    Where there are no such folders (on somebody's own computer), nothing is closed.

    Raises:
        BrokenPluginError: this node's kernel can't do it, and the administrator has not said that it is not needed.
    """
    closed = {folder.resolve() for folder in CREDENTIALS if folder.is_dir()}
    if not closed or environment.get(WITHOUT) == "true":
        return start()
    # Landlock holds for the thread that asks for it, and for the processes that it starts: this one does only that.
    with ThreadPoolExecutor(1, "sandbox") as thread:
        thread.submit(_restrict, closed).result()
        return thread.submit(start).result()


def environment_without_own(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are not the trainer's own."""
    return {name: value for name, value in environment.items() if not name.startswith(OWN)}


def _restrict(closed: set[Path]) -> None:
    """Let this thread, and what it starts, read everything but what lies in the folders of `closed`."""
    abi = _LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if abi < 1:
        raise BrokenPluginError(
            "A script has to run without the pod's credentials, which needs Landlock, and the kernel of this node has none (Linux 5.13 or "
            "later, with landlock among its security modules). Train on other nodes, or make the script a plugin with a class "
            f"(docs/plugins.md#your-own-plugin). An administrator who trusts all scripts may set {WITHOUT}=true (docs/plugins.md#scripts)."
        )
    moving = _REFER if abi >= _REFER_SINCE else 0
    attributes = _Ruleset(_READ_FILE | _READ_DIR | moving)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(ctypes.sizeof(attributes)), 0)
    try:
        for path in _beside(Path("/"), closed):
            _allow(ruleset, path, (_READ_FILE | _READ_DIR | moving) if path.is_dir() else _READ_FILE)
        # Landlock asks for it, and it is set in the pod anyway (allowPrivilegeEscalation: false).
        if _LIBC.prctl(_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))):
            raise _error()
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _beside(folder: Path, closed: set[Path]) -> Iterator[Path]:
    """Yield the largest parts of `folder` in which no closed folder lies; links need no rule, what they lead to has its own."""
    for path in folder.iterdir():
        if path in closed or path.is_symlink():
            continue
        if any(one.is_relative_to(path) for one in closed):
            yield from _beside(path, closed)
        else:
            yield path


def _allow(ruleset: int, path: Path, access: int) -> None:
    file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access, file)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(file)


def _call(number: int, *arguments: Any) -> int:
    result: int = _LIBC.syscall(number, *arguments)
    if result < 0:
        raise _error()
    return result


def _error() -> OSError:
    return OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
