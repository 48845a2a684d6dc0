"""The command line's answers to users' mistakes."""

import os
from pathlib import Path

import pytest

from localcluster import cli


@pytest.mark.parametrize("command", ["up", "down", "status", "images", "env"])
def test_without_root_one_sentence_says_what_is_missing_and_both_ways_out(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cli.main([command]) == 2
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
    assert "python -m localcluster up" in capsys.readouterr().err


def test_a_number_of_gpus_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["up", "--gpus", "many"])
    assert caught.value.code == 2
    assert "'many' is not a whole number" in capsys.readouterr().err
