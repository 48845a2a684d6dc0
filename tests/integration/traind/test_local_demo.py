"""`make demo LOCAL=1`: the daemon and Azurite as processes, from the message to the model."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.waiting import wait_until

# A shell's background job ignores SIGINT, and passes that on.
TAKE_CTRL_C = ["env", "--default-signal=INT"]
RUN = [sys.executable, "-m", "demo", "--local", "--images=8"]


def demo(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, f"--output={output}", *options], capture_output=True, text=True, timeout=300)


def test_the_demo_ends_with_the_callbacks_and_a_verified_model_without_a_cluster(tmp_path: Path) -> None:
    result = demo(tmp_path, "--plugin=hello-world")
    assert result.returncode == 0, result.stdout + result.stderr
    for text in (
        "queued",
        "training",
        "complete",
        "Callbacks received",
        "succeeded",
        "SHA-256",
        "trained and verified",
    ):
        assert text in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.tgz", "report.html", "traind.log"]


def test_a_rejected_message_ends_the_demo_with_its_reason(tmp_path: Path) -> None:
    result = demo(tmp_path, "--plugin=no-such-plugin")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "no-such-plugin" in result.stderr
    assert not (tmp_path / "model.tgz").exists()


def test_ctrl_c_stops_daemon_trainer_and_azurite(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as file:
        command = [*TAKE_CTRL_C, *RUN, f"--output={tmp_path}", "--plugin=hello-world", "--epochs=1000"]
        running = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        wait_until("a training", lambda: "epoch 1/1000" in output.read_text(), seconds=120, dump=output.read_text)
        started = psutil.Process(running.pid).children(recursive=True)
        names = " ".join(part for process in started for part in process.cmdline())
        assert all(program in names for program in ("azurite.js", "vott_traind", "vott_trainer")), names
        running.send_signal(signal.SIGINT)
        assert running.wait(120) == 130, output.read_text()
    finally:
        running.kill()
    assert not [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
