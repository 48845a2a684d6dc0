"""The command line's answers to users' mistakes."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from localcluster import cli
from localcluster.paths import CHECKOUT


@pytest.mark.parametrize("command", ["up", "down", "status", "images", "sbom dist", "env"])
def test_without_root_one_sentence_says_what_is_missing_and_both_ways_out(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cli.main(command.split()) == 2
    message = capsys.readouterr().err
    assert "takes root" in message
    assert "sudo" in message
    assert "KUBECONFIG" in message


def test_status_without_a_cluster_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(cli, "GPUS", tmp_path / "absent")
    assert cli.main(["status"]) == 1
    assert "make up" in capsys.readouterr().err


def test_a_number_of_gpus_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
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
def test_a_failure_of_the_machine_is_one_sentence(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_build", fail)
    assert cli.main(["build"]) == 1
    assert capsys.readouterr().err == message


def test_a_missing_package_names_a_command_that_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise ModuleNotFoundError("No module named 'azure'", name="azure")

    monkeypatch.setattr(cli, "_build", fail)
    assert cli.main(["build"]) == 2
    message = capsys.readouterr().err
    assert "no module azure" in message
    named = re.findall(r"`make (\S+?)`", message)
    makefile = (CHECKOUT / "Makefile").read_text().replace("$(VENV)", ".venv")
    assert named
    assert all(re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE) for target in named), named


def test_programs_for_administrators_are_found_after_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/opt/own:/sbin")
    for _ in range(2):
        cli.main(["up"])
        assert os.environ["PATH"] == "/opt/own:/sbin:/usr/sbin:/usr/local/sbin"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command changes the environment for the programs that it starts."""
    for name in ("PATH", "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
