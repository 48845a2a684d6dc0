"""Programs that are not ours run without the pod's credentials and without what all trainings share: Landlock closes those folders.

https://docs.kernel.org/userspace-api/landlock.html. Landlock only grants: a program is given each folder beside those. It also keeps
the program from looking into processes outside of its domain, so that neither the environment nor the files of the trainer are a way around.

Landlock holds for who asks for it, and for what that one becomes and starts. So this module is a program, too: it restricts itself and becomes
the other one. A thread of the trainer could restrict itself as well, but shares the trainer's memory, into which the program might look then.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vott_trainer.errors import BrokenPluginError

CREDENTIALS = (Path("/run/secrets"), Path("/var/run/secrets"))
"""Where Kubernetes mounts the ServiceAccount's token, and AKS and EKS that of the cloud identity; mostly one folder."""
SHARED = ("VOTT_IMAGE_CACHE", "VOTT_CHECKPOINTS")
"""Variables that may name a folder in which other trainings' images and checkpoints lie."""
WITHOUT = "VOTT_SCRIPTS_WITHOUT_SANDBOX"
OWN = ("AWS_", "AZURE_", "KUBERNETES_", "TRAININGJOB_", "VOTT_")
"""Prefixes of the variables that tell the trainer of its credentials and places."""

# The same numbers on every architecture that has these calls (linux/landlock.h, linux/prctl.h).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # flag of CREATE_RULESET: tell the ABI
_PATH_BENEATH = 1  # type of a rule
_RIGHTS = {
    1: 13,
    2: 14,
}  # by ABI: so many bits, from running and reading to making links; the second brought moving, the third truncating
_MOST_RIGHTS = 15
_OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14  # running, writing, reading, truncating; all others are about folders
_SET_NO_NEW_PRIVS = 38
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def confined(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the command that runs `command`, in its own process, with the folders of credentials and of `SHARED` closed.

    Where there are no such folders (on somebody's own computer), nothing is closed.

    Args:
        environment: the trainer's.

    Raises:
        BrokenPluginError: this node's kernel can't do it, and the administrator has not said that it is not needed.
    """
    closed = _closed(environment)
    if not closed or environment.get(WITHOUT) == "true":
        return [*command]
    if _abi() < 1:
        raise BrokenPluginError(
            "A script has to run without the pod's credentials, which needs Landlock, and the kernel of this node has none (Linux 5.13 or "
            "later, with landlock among its security modules). Train on other nodes, or make the script a plugin with a class "
            f"(docs/plugins.md#your-own-plugin). An administrator who trusts all scripts may set {WITHOUT}=true (docs/plugins.md#scripts)."
        )
    return [sys.executable, "-P", "-m", __name__, *map(str, closed), "--", *command]


def main(arguments: Sequence[str]) -> None:
    """Become the command behind `--`, without what is in the folders before it; end with a sentence where that can't be done."""
    end = arguments.index("--")
    command = arguments[end + 1 :]
    try:
        _restrict({Path(folder) for folder in arguments[:end]})
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and what it becomes would go on doing so
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], [*command])  # noqa: S606 # nosec B606 # the script
    except OSError as error:
        sys.exit(f"The script was not started: {error}")


def environment_without_own(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are not the trainer's own."""
    return {name: value for name, value in environment.items() if not name.startswith(OWN)}


def _closed(environment: Mapping[str, str]) -> list[Path]:
    shared = [Path(folder) for name in SHARED if (folder := environment.get(name, "")) and "://" not in folder]
    return sorted({folder.resolve() for folder in (*CREDENTIALS, *shared) if folder.is_dir()})


def _abi() -> int:
    """Return the version of this kernel's Landlock, less than 1 where there is none."""
    version: int = _LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return version


def _restrict(closed: set[Path]) -> None:
    """Let this process, of one thread, read and change everything but what lies in the folders of `closed`."""
    rights = (1 << _RIGHTS.get(_abi(), _MOST_RIGHTS)) - 1
    attributes = _Ruleset(rights)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(ctypes.sizeof(attributes)), 0)
    try:
        for path in _beside(Path("/"), closed):
            _allow(ruleset, path, rights if path.is_dir() else rights & _OF_FILES)
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
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:  # gone since it was listed
        return
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


if __name__ == "__main__":
    main(sys.argv[1:])
