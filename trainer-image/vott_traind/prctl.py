"""Settings of this process that Linux has and Python has not (prctl(2))."""

import ctypes
import os
import signal

_SET_PDEATHSIG = 1  # linux/prctl.h
_SET_DUMPABLE = 4
_SET_CHILD_SUBREAPER = 36
_GET_CHILD_SUBREAPER = 37
_LIBC = ctypes.CDLL(None, use_errno=True)


def signal_at_death_of_parent(number: signal.Signals) -> None:
    """Get a signal once the thread that started this process has ended."""
    _prctl(_SET_PDEATHSIG, number)


def hide_from_other_processes() -> None:
    """Keep other processes of this user from reading this one's environment and memory (/proc/PID, ptrace)."""
    _prctl(_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent ends. Stays across execve; children do not inherit it."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def adopts_orphans() -> bool:
    """Whether this process has called `adopt_orphans`."""
    found = ctypes.c_int()
    _prctl(_GET_CHILD_SUBREAPER, ctypes.addressof(found))
    return bool(found.value)


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))):
        raise OSError(ctypes.get_errno(), f"prctl: {os.strerror(ctypes.get_errno())}")
