"""Error messages of the command line."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from localcluster import cli
from localcluster.paths import CHECKOUT


@pytest.mark.parametrize("command", ["up", "down", "status", "images", "sbom dist", "env"])
def test_the_error_without_root_names_both_remedies(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cli.main(command.split()) == 2
    message = capsys.readouterr().err
    assert "needs root" in message
    assert "sudo" in message
    assert "KUBECONFIG" in message


def test_status_without_a_cluster_shows_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(cli, "GPUS", tmp_path / "absent")
    assert cli.main(["status"]) == 1
    assert "make up" in capsys.readouterr().err


def test_an_invalid_number_of_gpus_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["up", "--gpus", "many"])
    assert caught.value.code == 2
    assert "'many' is not a whole number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory", "nft"), "error: nft: No such file or directory\n"),
        (OSError(28, "No space left on device"), "error: No space left on device\n"),
        (subprocess.CalledProcessError(3, "nft"), "error: nft ended with exit code 3\n"),
    ],
)
def test_a_system_error_is_reported_in_one_sentence(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_build", fail)
    assert cli.main(["build"]) == 1
    assert capsys.readouterr().err == message


def test_the_error_for_a_missing_module_names_existing_make_targets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise ModuleNotFoundError("No module named 'azure'", name="azure")

    monkeypatch.setattr(cli, "_build", fail)
    assert cli.main(["build"]) == 2
    message = capsys.readouterr().err
    assert "no module azure" in message
    targets = re.findall(r"`make (\S+?)`", message)
    makefile = (CHECKOUT / "Makefile").read_text().replace("$(VENV)", ".venv")
    assert targets
    assert all(re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE) for target in targets), targets


def test_system_folders_come_last_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/opt/own:/sbin")
    for _ in range(2):
        cli.main(["up"])
        assert os.environ["PATH"] == "/opt/own:/sbin:/usr/sbin:/usr/local/sbin"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the variables that a command changes."""
    for name in ("PATH", "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
