"""Programs that never outlive this process, however it ends."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localcluster.proxies import without_proxies

# The kernel sends the death signal when the *thread* that started the program ends, so all are started by one that lasts.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="localcluster-starter")


def start_guarded(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that the kernel kills when this process ends; its output goes to the log."""

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                env={**without_proxies(os.environ), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in a test's terminal is for the test alone
            )

    return _starter.submit(start).result()


def stop_guarded(process: subprocess.Popen[bytes], grace: float = 2) -> None:
    """Ask the program to end, kill it after ``grace`` seconds, and read its exit code."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
