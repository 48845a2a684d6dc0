"""Execute a trainer that ends with its daemon: `python -m vott_traind.child DAEMON_PID -- COMMAND…`.

If the daemon is killed, the kernel sends the trainer SIGTERM (prctl(2), PR_SET_PDEATHSIG), at which it saves a checkpoint. Orphans among the
trainer's descendants stay with it (PR_SET_CHILD_SUBREAPER), so that the daemon can tell what a trainer has left behind (`processes.py`).
Both settings stay across execve. They are made in a program of its own, because Python runs no code safely between fork and execve.
"""

import os
import signal
import sys
from collections.abc import Sequence

from vott_guard import exit_codes
from vott_traind.prctl import adopt_orphans, signal_at_death_of_parent


def command_line(command: Sequence[str]) -> list[str]:
    """Return the command line that runs `command` as a child of this process."""
    return [sys.executable, "-P", "-m", "vott_traind.child", str(os.getpid()), "--", *command]


def main(arguments: Sequence[str]) -> None:
    """Execute the command after `--`."""
    daemon, _, *command = arguments
    signal_at_death_of_parent(signal.SIGTERM)
    adopt_orphans()
    if os.getppid() != int(daemon):  # it was killed before the setting
        sys.exit(exit_codes.SIGTERM)
    os.execv(command[0], command)  # noqa: S606 # nosec B606 # the trainer


if __name__ == "__main__":
    main(sys.argv[1:])
