"""`make demo` tells the truth, in words and with its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("local")

RUN = [sys.executable, "-m", "demo", "--images=8"]
LOCAL = os.environ | {"VOTT_TRAIN_LOCAL": "1"}


def demo(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*RUN, f"--output={output}", *options]
    return subprocess.run(command, env=LOCAL, capture_output=True, text=True, timeout=600)


def test_demo_ends_with_the_table_the_callbacks_and_a_verified_model(tmp_path: Path) -> None:
    outcome = demo(tmp_path, "--plugin=hello-world")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    for words in ("STATUS", "Complete", "Callback posts received", "succeeded", "SHA-256"):
        assert words in outcome.stdout
    assert (tmp_path / "model.tgz").stat().st_size


def test_demo_that_is_rejected_says_why_and_ends_with_exit_code_1(tmp_path: Path) -> None:
    outcome = demo(tmp_path, "--plugin=no-such-plugin")
    assert outcome.returncode == 1
    assert "no-such-plugin" in outcome.stderr
    assert not (tmp_path / "model.tgz").exists()
