"""The daemon `traind.py` as the demo's consumer: a process of this checkout, observed in its state folder."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from demo.consumer import Training
from demo.errors import DemoError
from demo.outgoing import outgoing
from demo.progress import COMPLETE, FAILED, MODEL_READY, STARTING, TRAINER_STARTS, Step, training_step
from localcluster.child_process import start_child, stop_child
from localcluster.paths import CHECKOUT
from vott_traind.folders import StateFolder
from vott_traind.records import Record, Records

GRACE_SECONDS = 10
"""For the trainer after SIGTERM. The demo ends with its data, so a checkpoint is of no use."""
STOP_SECONDS = 20.0
"""For the daemon, which needs some seconds more than its trainer."""
LOG_LINES = 20
ACCOUNT = "AZURE_STORAGE_CONNECTION_STRING"
PATHS = tuple(CHECKOUT / name for name in ("trainer-image", "messaging", "guard"))


class Daemon:
    """The running daemon; see Consumer. Use it as a context manager.

    Args:
        storage: connection string of the account with queue, images and model.
        queue: name of the queue.
        host: address where the demo receives callbacks.
        log: file for its output.
    """

    def __init__(self, storage: str, queue: str, host: str, log: Path) -> None:
        self._log = log
        self._temporary = tempfile.TemporaryDirectory(prefix="vott-demo-", ignore_cleanup_errors=True)
        self._folder = Path(self._temporary.name)
        self._state = StateFolder(self._folder / "state")
        self._records = Records(self._state)
        self._write_settings(storage, queue, host)

    def _write_settings(self, storage: str, queue: str, host: str) -> None:
        credentials = self._folder / "credentials"
        credentials.mkdir()
        (credentials / ACCOUNT).write_text(storage)
        self._config = self._folder / "settings.yaml"
        self._config.write_text(json.dumps(settings(storage, queue, host, credentials)))  # JSON is YAML

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.unlink(missing_ok=True)
        options = [f"--state={self._state.path}", f"--work={self._folder / 'work'}"]
        command = [*_env(os.environ, self._config), sys.executable, "-P", "-m", "vott_traind", *options]
        self._process: subprocess.Popen[bytes] = start_child(command, self._log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop_child(self._process, STOP_SECONDS)
        self._temporary.cleanup()

    def training(self, message_id: str) -> Training | None:
        """The training of a message. Raises DemoError if the daemon has ended."""
        if (code := self._process.poll()) is not None:
            raise DemoError(f"The daemon ended with exit code {code}. The end of {self._log}:\n{_end_of(self._log)}")
        record = next((one for one in self._records.all() if one.message_id == message_id), None)
        if record is None:
            return None
        status = _read(self._records.folder(record.name).status)
        return Training(record.name, describe(record, status), _failure(record), status.get("model") or {})

    def cancel(self, message_id: str) -> None:
        """Nothing to do: the training ends with the daemon, at the end of the demo."""

    def summary(self) -> str:
        """Where the daemon's output is."""
        return f"Output of the daemon: {self._log}"

    def logs(self, name: str) -> str:
        """The last lines that the trainer has printed."""
        return _end_of(self._records.folder(name).log)

    def advice(self) -> str:
        """See Consumer."""
        return f"See {self._log}. The training has been stopped, because the daemon ends with the demo."


def settings(storage: str, queue: str, host: str, credentials: Path) -> dict[str, Any]:
    """The daemon's settings.

    Args:
        storage: connection string of the account.
        queue: name of the queue.
        host: address where the demo receives callbacks.
        credentials: folder with a file for each credential variable of the queue.
    """
    return {
        "queues": [{"kind": "storage", "name": queue, "credentialsDir": str(credentials)}],
        "outgoing": outgoing(storage, host),
        "trainer": {"terminationGracePeriodSeconds": GRACE_SECONDS},
    }


def _env(environment: Mapping[str, str], config: Path) -> list[str]:
    """The command env(1) that runs the daemon with these settings, and with none of the user's but the folder of weights."""
    others = (name for name in environment if name.startswith(("AZURE_", "VOTT_")) and name != "VOTT_WEIGHTS")
    paths = os.pathsep.join([*map(str, PATHS), environment.get("PYTHONPATH", "")])
    return ["env", *(f"--unset={name}" for name in others), f"VOTT_TRAIN_CONFIG={config}", f"PYTHONPATH={paths}"]


def describe(record: Record, status: Mapping[str, Any]) -> Step:
    """Describe the state of a training.

    Args:
        record: what the daemon knows.
        status: what the trainer has reported (docs/trainer-contract.md).
    """
    if record.outcome == "failed":
        return Step(FAILED, _failure(record))
    if record.outcome == "succeeded":
        return Step(COMPLETE, MODEL_READY)
    return training_step(status.get("progress") or {}) or Step(STARTING, TRAINER_STARTS)


def _failure(record: Record) -> str:
    return f"{record.reason}: {record.message}" if record.outcome == "failed" else ""


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _end_of(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
    except FileNotFoundError:
        return ""
