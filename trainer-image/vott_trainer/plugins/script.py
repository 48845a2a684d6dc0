"""The first VoTT-train's plugins: a program of its own, which fetches, trains, reports and uploads by itself.

Its contract: `plugin.py --annotations URL --model URL --status URL` in an empty working directory, exit code 0 is success. Beyond it,
environment VOTT_PARAMETERS holds the message's parameters as a JSON object. It gets the links of its message, and not the identity of its pod.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import IO, Any

from pydantic import BaseModel, ConfigDict

from vott_guard.redaction import redact
from vott_trainer.errors import TrainerError, UsageError
from vott_trainer.plugin_api import Interruption, Links, Prediction, Run, Trained
from vott_trainer.plugins import sandbox

log = logging.getLogger(__name__)

KEPT_LINES = 10  # of what it wrote to its standard error, for the error message
LOOK_SECONDS = 0.2
LONGEST_LINE = 1 << 20  # characters that are looked through for credentials
SHOWN_OF_LINE = 10_000
TOLD = ("VOTT_GRACE_SECONDS", "VOTT_WEIGHTS")  # of the trainer's own variables
FINAL = (64, 65, 66, 73)  # exit codes that say that trying again is in vain (docs/trainer-contract.md)


class ScriptParameters(BaseModel):
    """Anything: the script knows what it takes."""

    model_config = ConfigDict(extra="allow", frozen=True)


class ScriptError(TrainerError):
    """The script failed; those of its exit codes that are the trainer's own keep their meaning."""

    def __init__(self, script: Path, code: int, last_lines: str) -> None:
        super().__init__(f"{script} {_ended(code)}. {_said(last_lines)}")
        self.exit_code = 128 - code if code < 0 else code if code in FINAL else TrainerError.exit_code


class Script:
    """Runs a program of the first VoTT-train's contract."""

    parameters = ScriptParameters
    uploads = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.note = f"{path} defines no class Plugin, so it is run as a script (docs/plugins.md#scripts)."

    def train(self, run: Run, parameters: ScriptParameters) -> Trained:
        """Run the script to its end.

        Raises:
            ScriptError: it ended with another exit code than 0; the message ends with what it wrote last to its standard error.
            BrokenPluginError: there are credentials or folders of other trainings in this pod, and no way to keep them from it.
            InterruptedTrainingError: SIGTERM came, was passed on, and the script has ended since.
        """
        log.info("%s", self.note)
        command, environment = self._command(run.links), _environment(parameters)
        code, last_lines = _run(command, run.model_dir, environment, run.interruption)
        run.interruption.check()
        if code:
            raise ScriptError(self._path, code, last_lines)
        return Trained({})

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:  # noqa: ARG002 - the Plugin protocol
        """Refuse: only the script knows what its model is."""
        raise UsageError(f"Only {self._path} knows how to use its model.")

    def _command(self, links: Links) -> list[str]:
        urls = {"annotations": links.annotations, "model": links.model, "status": links.status}
        arguments = [text for name, url in urls.items() if url for text in (f"--{name}", url)]
        return [sys.executable, "-u", str(self._path), *arguments]


def _environment(parameters: ScriptParameters) -> dict[str, str]:
    given: dict[str, Any] = parameters.model_dump(mode="json")
    environment = sandbox.environment_without_own(os.environ)
    environment.pop("PYTHONSAFEPATH", None)  # modules that lie beside it may be imported
    return (
        environment
        | {name: os.environ[name] for name in TOLD if name in os.environ}
        | {"VOTT_PARAMETERS": json.dumps(given)}
    )


def _run(command: list[str], folder: Path, environment: dict[str, str], interruption: Interruption) -> tuple[int, str]:
    """Return the exit code (minus the signal's number) and the last lines of standard error."""
    last = deque[str](maxlen=KEPT_LINES)
    confined = sandbox.confined(command)
    interruption.defer()  # before it starts: once it runs, it has something to save
    process = _start(confined, folder, environment)
    assert process.stdout is not None
    assert process.stderr is not None
    readers = [_reader(process.stdout, sys.stdout, None), _reader(process.stderr, sys.stderr, last)]
    code = _wait(process, interruption)
    for reader in readers:
        reader.join(timeout=5)  # a program that the script left behind may hold them open
    return code, "\n".join(last)


def _start(command: list[str], folder: Path, environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip


def _wait(process: "subprocess.Popen[str]", interruption: Interruption) -> int:
    """Return the exit code; a SIGTERM is passed on to the script and all that it started."""
    told = False
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_SECONDS)
            if interruption.requested and not told:
                told = True
                _signal(process, signal.SIGTERM)
    finally:
        if process.returncode is None:  # Ctrl-C, and the like
            _signal(process, signal.SIGKILL)


def _signal(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    log.info("%s to the script", number.name)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _reader(source: IO[str], target: IO[str], last: deque[str] | None) -> Thread:
    """Pass on each line, without credentials, and keep the last ones."""

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
    """Yield the lines, fit to be printed; of one that is too long only the beginning.

    Shortened after the credentials are out: half of one would not be known any more.
    """
    begins = True
    while text := source.readline(LONGEST_LINE):
        if begins:
            line = redact(text.rstrip("\n"))
            yield line if len(line) <= SHOWN_OF_LINE else f"{line[:SHOWN_OF_LINE]}…"
        begins = text.endswith("\n")


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    hint = ", which mostly means that memory ran out" if code == -signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-code).name}{hint}"


def _said(last_lines: str) -> str:
    return f"It wrote last: {last_lines}" if last_lines else "It wrote nothing to its standard error."
