"""Run a plugin of the first VoTT-train: a program that fetches, trains, reports and uploads by itself.

Its contract: `plugin.py --annotations URL --model URL --status URL` in an empty working directory; exit code 0 is success. In addition,
VOTT_PARAMETERS holds the message's parameters as a JSON object. The script gets the message's URLs, but not the pod's identity.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import IO

from pydantic import BaseModel, ConfigDict

from vott_guard import exit_codes
from vott_guard.redaction import redact
from vott_trainer.errors import TrainerError, UsageError
from vott_trainer.plugin_api import Interruption, Links, Prediction, Run, Trained
from vott_trainer.plugins import sandbox
from vott_trainer.plugins.script_environment import script_environment

log = logging.getLogger(__name__)

LAST_LINES = 10  # of standard error, for the error message
POLL_SECONDS = 0.2
LONGEST_LINE = 1 << 20  # characters, searched for credentials
LONGEST_SHOWN = 10_000  # characters of a line


class ScriptParameters(BaseModel):
    """Any parameters: the script validates them."""

    model_config = ConfigDict(extra="allow", frozen=True)


class ScriptError(TrainerError):
    """The script failed. Exit codes that the trainer uses, too, keep their meaning."""

    def __init__(self, script: Path, code: int, last_lines: str) -> None:
        super().__init__(f"{script} {_end(code)}. {_quote(last_lines)}")
        self.exit_code = 128 - code if code < 0 else code if code in exit_codes.PERMANENT else TrainerError.exit_code


class Script:
    """A program that follows the first VoTT-train's contract."""

    parameters = ScriptParameters
    uploads = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.note = f"{path} defines no class Plugin, so it is run as a script (docs/plugins.md#scripts)."

    def train(self, run: Run, parameters: ScriptParameters) -> Trained:
        """Run the script to its end.

        Raises:
            ScriptError: it exited with another code than 0; quotes its last lines of standard error.
            BrokenPluginError: the pod has credentials or shared folders, and they can't be kept from the script.
            InterruptedTrainingError: SIGTERM arrived and was forwarded, and the script has exited.
        """
        log.info("%s", self.note)
        command, environment = self._command(run.links), script_environment(parameters.model_dump(mode="json"))
        code, last_lines = _run(command, run.model_dir, environment, run.interruption)
        run.interruption.check()
        if code:
            raise ScriptError(self._path, code, last_lines)
        return Trained({})

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:  # noqa: ARG002 - the Plugin protocol
        """Refuse: only the script can load its model."""
        raise UsageError(f"Only {self._path} can use its model.")

    def _command(self, links: Links) -> list[str]:
        urls = {"annotations": links.annotations, "model": links.model, "status": links.status}
        arguments = [text for name, url in urls.items() if url for text in (f"--{name}", url)]
        return [sys.executable, "-u", str(self._path), *arguments]


def _run(command: list[str], folder: Path, environment: dict[str, str], interruption: Interruption) -> tuple[int, str]:
    """Return the exit code (the negative signal number if killed) and the last lines of standard error."""
    last = deque[str](maxlen=LAST_LINES)
    confined = sandbox.confined(command)
    interruption.defer()  # first: once the script runs, it has something to save
    process = _start(confined, folder, environment)
    assert process.stdout is not None
    assert process.stderr is not None
    readers = [_reader(process.stdout, sys.stdout, None), _reader(process.stderr, sys.stderr, last)]
    code = _wait(process, interruption)
    for reader in readers:
        reader.join(timeout=5)  # a process that the script left behind may keep them open
    return code, "\n".join(last)


def _start(command: list[str], folder: Path, environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip


def _wait(process: "subprocess.Popen[str]", interruption: Interruption) -> int:
    """Return the exit code; forward SIGTERM to the script and its child processes."""
    forwarded = False
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(POLL_SECONDS)
            if interruption.requested and not forwarded:
                forwarded = True
                _signal(process, signal.SIGTERM)
    finally:
        if process.returncode is None:  # for example on Ctrl-C
            _signal(process, signal.SIGKILL)


def _signal(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    log.info("sending %s to the script", number.name)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _reader(source: IO[str], target: IO[str], last: deque[str] | None) -> Thread:
    """Print each line without credentials, and keep the last ones."""

    def read() -> None:
        with source:
            for line in _lines(source):
                print(line, file=target, flush=True)
                if last is not None and line.strip():
                    last.append(line)

    thread = Thread(target=read, daemon=True)
    thread.start()
    return thread


def _lines(source: IO[str]) -> Iterator[str]:
    """Yield the lines without credentials; of a long line only the beginning.

    Redacts before shortening: half a credential would not be recognised.
    """
    at_start = True
    while text := source.readline(LONGEST_LINE):
        if at_start:
            line = redact(text.rstrip("\n"))
            yield line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}…"
        at_start = text.endswith("\n")


def _end(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    hint = ", usually because memory ran out" if code == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-code).name}{hint}"


def _quote(last_lines: str) -> str:
    return f"Last lines of its standard error: {last_lines}" if last_lines else "Its standard error is empty."
