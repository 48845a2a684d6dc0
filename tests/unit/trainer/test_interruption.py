"""SIGTERM ends the process at once, unless something would be lost."""

import signal
import subprocess
import sys

import pytest

from tests.support.trainer_process import PYTHONPATH
from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.process.interruption import Interruption, grace_seconds

PROGRAM = """
import sys, threading, time
from vott_trainer.process.interruption import PROCESS
PROCESS.listen()
if "defer" in sys.argv:
    PROCESS.defer()
print("ready", flush=True)
{work}
"""
WAITS = "threading.Lock().acquire(); threading.Event().wait()"
STEPS = "while not PROCESS.requested: sum(range(10**6))\nprint('saved', flush=True); sys.exit(143)"
NEVER_ENDS = "while True: sum(range(10**6))"


def ended(work: str, *arguments: str, grace: str = "30") -> tuple[int, str]:
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


def test_a_process_with_nothing_to_lose_ends_at_once() -> None:
    code, text = ended(WAITS)
    assert code == 143
    assert "SIGTERM: stopping" in text


def test_a_process_that_learns_ends_itself() -> None:
    code, text = ended(STEPS, "defer")
    assert code == 143
    assert "saved" in text


def test_a_process_that_takes_too_long_ends_before_kubernetes_ends_it() -> None:
    code, text = ended(NEVER_ENDS, "defer", grace="6")
    assert code == 143
    assert "goes on from its last checkpoint" in text


def test_a_request_is_raised_where_it_is_checked() -> None:
    left: list[int] = []
    interruption = Interruption(left.append)
    interruption.defer()
    interruption.check()
    interruption.request()
    with pytest.raises(InterruptedTrainingError):
        interruption.check()
    assert not left


@pytest.mark.parametrize(("text", "seconds"), [("", 30.0), ("120", 120.0), ("soon", 30.0)])
def test_the_grace_period_is_what_the_pod_says(text: str, seconds: float) -> None:
    assert grace_seconds({"VOTT_GRACE_SECONDS": text}) == seconds
