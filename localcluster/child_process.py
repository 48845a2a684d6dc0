"""Child processes that the kernel kills when this process ends."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localcluster.proxies import without_proxies

# The kernel sends the death signal when the *thread* that started the child ends, so a permanent thread starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="localcluster-starter")


def start_child(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program with its output in the log."""

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                env={**without_proxies(os.environ), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in the terminal must stop only the test
            )

    return _starter.submit(start).result()


def stop_child(process: subprocess.Popen[bytes], grace: float = 2) -> None:
    """Terminate the program, and kill it after ``grace`` seconds."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
