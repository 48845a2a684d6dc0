"""SIGTERM ends the process at once, unless it has something to save."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.trainer_process import PYTHONPATH
from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.process.sigterm import Interruption, grace_seconds

PROGRAM = """
import sys, threading, time
from vott_trainer.process.sigterm import PROCESS
PROCESS.listen()
if "defer" in sys.argv:
    PROCESS.defer()
print("ready", flush=True)
{work}
"""
WAIT = "threading.Lock().acquire(); threading.Event().wait()"
SAVE = "while not PROCESS.requested: sum(range(10**6))\nprint('saved', flush=True); sys.exit(143)"
NEVER_END = "while True: sum(range(10**6))"


def terminate(work: str, *arguments: str, grace: str = "30") -> tuple[int, str]:
    """Start PROGRAM and send it SIGTERM; return its exit code and output."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(work=work), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": PYTHONPATH, "VOTT_GRACE_SECONDS": grace},
    )
    assert process.stdout
    with process.stdout as output:
        assert output.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        text = output.read()
    return process.wait(60), text


def test_process_with_nothing_to_save_ends_at_once() -> None:
    code, text = terminate(WAIT)
    assert code == 143
    assert "SIGTERM: stopping" in text


def test_process_that_trains_ends_itself() -> None:
    code, text = terminate(SAVE, "defer")
    assert code == 143
    assert "saved" in text


def test_process_that_takes_too_long_ends_before_the_kubelet_kills_it() -> None:
    code, text = terminate(NEVER_END, "defer", grace="6")
    assert code == 143
    assert "resumes from its last checkpoint" in text


@pytest.mark.parametrize("lost", ["os.close(1)", "os.dup2(broken_pipe(), 1)"])
def test_process_saves_if_nobody_reads_its_output(lost: str, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    program = f"""
import os, pathlib
from vott_trainer.process.sigterm import Interruption
def broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer
{lost}
interruption = Interruption()
interruption.defer()
interruption.request()
assert interruption.requested
pathlib.Path({str(saved)!r}).touch()
interruption.stop_deferring()
interruption.request()
"""
    environment = {"PYTHONPATH": PYTHONPATH}
    done = subprocess.run([sys.executable, "-c", program], env=environment, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (143, "")
    assert saved.exists()


def test_request_is_raised_by_check() -> None:
    exit_codes: list[int] = []
    interruption = Interruption(exit_codes.append)
    interruption.defer()
    interruption.check()
    interruption.request()
    with pytest.raises(InterruptedTrainingError):
        interruption.check()
    assert not exit_codes


@pytest.mark.parametrize(("text", "seconds"), [("", 30.0), ("120", 120.0), ("soon", 30.0)])
def test_grace_period_is_read_from_the_environment(text: str, seconds: float) -> None:
    assert grace_seconds({"VOTT_GRACE_SECONDS": text}) == seconds
