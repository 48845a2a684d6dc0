"""The daemon's folders: absolute wherever they are named, out of scripts' reach, and warned about if they are lost."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from vott_traind import command_line
from vott_traind.command_line import main
from vott_traind.daemon import Options, private_paths
from vott_traind.folders import StateFolder
from vott_traind.settings import Settings


class IdleDaemon:
    """A daemon that ends at once."""

    def __init__(self, *_: object) -> None: ...

    async def run(self) -> None: ...


@pytest.fixture(autouse=True)
def _idle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(command_line, "Daemon", IdleDaemon)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "labels")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_relative_folders_do_not_depend_on_the_trainer_s_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = main.make_context("traind.py", ["--state=state", "--work=work"]).params
    assert (params["state"], params["work"]) == (tmp_path / "state", tmp_path / "work")


def test_scripts_can_read_no_settings_and_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.model_validate(
        {"queues": [{"name": "cats", "credentialsDir": "cats"}, {"name": "dogs"}], "callbacks": {"signingDir": "keys"}}
    )
    own = {
        "VOTT_TRAIN_CONFIG": "settings.yaml",
        "AZURE_FEDERATED_TOKEN_FILE": "/tokens/azure",
        "AWS_SHARED_CREDENTIALS_FILE": "/aws/credentials",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "",
        "AWS_REGION": "eu-central-1",
    }
    found = list(private_paths(settings, Options(StateFolder(Path("/state")), Path("/work"), []), own))
    relative = [tmp_path / name for name in ("cats", "keys", "settings.yaml")]
    assert sorted(found) == sorted(
        [Path("/state"), Path("/work"), *relative, Path("/tokens/azure"), Path("/aws/credentials")]
    )


@pytest.mark.parametrize("lost", [False, True])
def test_a_state_that_is_removed_with_the_container_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, lost: bool
) -> None:
    monkeypatch.setattr(command_line, "is_in_container_layer", lambda _: lost)
    result = CliRunner().invoke(main, [f"--state={tmp_path}"])
    assert result.exit_code == 0, result.output
    assert ("it is in no volume of the container" in result.output) is lost
    assert ("Mount a volume at /var/lib/vott-traind" in result.output) is lost
