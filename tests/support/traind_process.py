"""The daemon `traind.py` as a local process."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.trainer_process import ALLOWED, CHECKOUT

PATHS = [CHECKOUT / name for name in ("trainer-image", "messaging", "guard")]
ENDED_SECONDS = 90.0


class TraindProcess(subprocess.Popen[bytes]):
    """A started daemon. Several in a row may share state folder and log."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *arguments: str) -> None:
        self.log = folder / "traind.log"
        self.state = folder / "state"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "VOTT_"))}
        paths = {"PYTHONPATH": os.pathsep.join([*map(str, PATHS), os.environ.get("PYTHONPATH", "")])}
        command = [
            sys.executable,
            "-P",
            "-m",
            "vott_traind",
            f"--state={self.state}",
            f"--work={folder / 'work'}",
            *arguments,
        ]
        with self.log.open("ab") as file:
            super().__init__(command, env={**inherited, **ALLOWED, **paths, **environment}, stdout=file, stderr=file)

    def sigkill(self) -> None:
        """Kill it without a chance to clean up."""
        self.kill()
        self.wait()

    def stop(self, seconds: float = ENDED_SECONDS) -> int:
        """Stop it as Docker does; return its exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait(seconds)
