"""Run a script without access to the pod's credentials, private files and the folders that trainings share, by Landlock.

https://docs.kernel.org/userspace-api/landlock.html. Landlock has no deny rules, so everything but those is granted. It also keeps
the script from inspecting processes outside its domain, and so from reading the environment, memory and open files of the trainer and of
the daemon that started it.

Landlock applies to the calling thread and what it executes. So this module is also a program, which restricts itself and then executes the
script. If a thread of the trainer restricted itself instead, the script could inspect it, and through it the trainer's memory.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vott_trainer.errors import BrokenPluginError

CREDENTIAL_FOLDERS = (Path("/run/secrets"), Path("/var/run/secrets"))
"""Where Kubernetes mounts the ServiceAccount's token, and AKS and EKS the cloud identity's; usually the same folder."""
SHARED_FOLDER_VARIABLES = ("VOTT_IMAGE_CACHE", "VOTT_CHECKPOINTS")
"""Variables that may name a folder with other trainings' images or checkpoints."""
PRIVATE_VARIABLE = "VOTT_PRIVATE_PATHS"
"""Variable with files and folders of the program that started the trainer, separated as in PATH."""
OWN_FOLDER_VARIABLES = ("VOTT_WORK_DIR", "TMPDIR")
"""Variables with the training's own folders, which stay accessible below a denied folder."""
OPT_OUT_VARIABLE = "VOTT_SCRIPTS_WITHOUT_SANDBOX"

# The same numbers on every architecture that has these system calls (linux/landlock.h, linux/prctl.h).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # flag of CREATE_RULESET: return the ABI version
_PATH_BENEATH = 1  # type of a rule
_RIGHTS = {
    1: 13,
    2: 14,
}  # number of access rights by ABI version; version 2 added REFER, version 3 TRUNCATE
_MOST_RIGHTS = 15
_FILE_RIGHTS = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14  # EXECUTE, WRITE_FILE, READ_FILE, TRUNCATE; all others are of folders
_SET_NO_NEW_PRIVS = 38
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def confined(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the command that runs `command` without access to credentials, private files and shared folders.

    Returns `command` itself if there are none, and no daemon whose processes are to be protected, as on a developer's computer.

    Args:
        environment: the trainer's.

    Raises:
        BrokenPluginError: the node's kernel has no Landlock, and the administrator has not opted out.
    """
    denied = _denied_paths(environment)
    needed = denied or environment.get(PRIVATE_VARIABLE)
    if not needed or environment.get(OPT_OUT_VARIABLE) == "true":
        return [*command]
    if _abi() < 1:
        raise BrokenPluginError(
            "Running a script without the pod's credentials needs Landlock, which this node's kernel lacks (Linux 5.13 or later, with "
            "landlock among its security modules). Train on other nodes, or turn the script into a plugin class "
            f"(docs/plugins.md#your-own-plugin). An administrator who trusts all scripts may set {OPT_OUT_VARIABLE}=true "
            "(docs/plugins.md#scripts)."
        )
    own = _own_folders(environment, {*denied})
    return [sys.executable, "-P", "-m", __name__, *map(str, denied), "--", *map(str, own), "--", *command]


def main(arguments: Sequence[str]) -> None:
    """Execute `DENIED … -- OWN … -- COMMAND …` without access to the denied paths, except for own folders; exit with a message if that fails."""
    first = arguments.index("--")
    second = arguments.index("--", first + 1)
    command = arguments[second + 1 :]
    try:
        _restrict({*map(Path, arguments[:first])}, [*map(Path, arguments[first + 1 : second])])
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and an executed program inherits that
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], [*command])  # noqa: S606 # nosec B606 # the script
    except OSError as error:
        sys.exit(f"The script was not started: {error}")


def _denied_paths(environment: Mapping[str, str]) -> list[Path]:
    values = [environment.get(name, "") for name in SHARED_FOLDER_VARIABLES]
    shared = [Path(value) for value in values if value and "://" not in value]
    private = [Path(value) for value in environment.get(PRIVATE_VARIABLE, "").split(os.pathsep) if value]
    return sorted({path.resolve() for path in (*CREDENTIAL_FOLDERS, *shared, *private) if path.exists()})


def _own_folders(environment: Mapping[str, str], denied: set[Path]) -> list[Path]:
    """Return the training's own folders that lie below a denied one."""
    own = {Path(value).resolve() for name in OWN_FOLDER_VARIABLES if (value := environment.get(name))}
    return sorted(folder for folder in own if folder not in denied and not denied.isdisjoint(folder.parents))


def _abi() -> int:
    """Return the kernel's Landlock ABI version; less than 1 without Landlock."""
    version: int = _LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return version


def _restrict(denied: set[Path], own: Sequence[Path]) -> None:
    """Deny this single-threaded process all access to the `denied` paths, except for `own` folders in them."""
    rights = (1 << _RIGHTS.get(_abi(), _MOST_RIGHTS)) - 1
    attributes = _Ruleset(rights)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(ctypes.sizeof(attributes)), 0)
    try:
        for path in (granted for folder in (Path("/"), *own) for granted in _granted(folder, denied)):
            _allow(ruleset, path, rights if path.is_dir() else rights & _FILE_RIGHTS)
        # Landlock requires it; the pod sets it anyway (allowPrivilegeEscalation: false).
        if _LIBC.prctl(_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))):
            raise _error()
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _granted(path: Path, denied: set[Path]) -> Iterator[Path]:
    """Yield the largest parts of `path` without a denied path in them; links need no rule, as their targets have one."""
    if path in denied or path.is_symlink():
        return
    if any(one.is_relative_to(path) for one in denied):
        for part in path.iterdir():
            yield from _granted(part, denied)
    else:
        yield path


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:  # removed since it was listed
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
