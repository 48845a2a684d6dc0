"""Output and exit code of `make demo`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.packed import image, voc

pytestmark = pytest.mark.usefixtures("local")

RUN = [sys.executable, "-m", "demo", "--images=8"]
LOCAL = os.environ | {"VOTT_TRAIN_LOCAL": "1"}


def demo(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*RUN, f"--output={output}", *options]
    return subprocess.run(command, env=LOCAL, capture_output=True, text=True, timeout=600)


def test_demo_ends_with_the_trainingjob_the_callbacks_and_a_verified_model(tmp_path: Path) -> None:
    result = demo(tmp_path, "--plugin=hello-world")
    assert result.returncode == 0, result.stdout + result.stderr
    for text in ("STATUS", "Complete", "Callbacks received", "succeeded", "SHA-256"):
        assert text in result.stdout
    assert (tmp_path / "model.tgz").stat().st_size


def test_demo_with_the_users_own_folder_reads_its_annotations_and_images(tmp_path: Path) -> None:
    pets = tmp_path / "pets"
    pets.mkdir()
    for number, label in enumerate(["cat", "dog", "cat", "dog"]):
        (pets / f"{number}.png").write_bytes(image(number))
        (pets / f"{number}.xml").write_text(voc(f"{number}.png", label))
    result = demo(tmp_path / "out", "--plugin=hello-world", f"--data={pets}")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "uploaded  pets.zip" in result.stdout
    assert "Classes: cat, dog" in result.stdout


def test_demo_whose_message_is_rejected_prints_the_reason_and_ends_with_exit_code_1(tmp_path: Path) -> None:
    result = demo(tmp_path, "--plugin=no-such-plugin")
    assert result.returncode == 1
    assert "no-such-plugin" in result.stderr
    assert not (tmp_path / "model.tgz").exists()
