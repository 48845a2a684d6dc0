"""State and work folders: private, where they can be written, and each for one daemon."""

import os
from pathlib import Path

import pytest

from vott_messaging.errors import SettingsError
from vott_traind import folders
from vott_traind.folder_lock import locked
from vott_traind.folders import StateFolder, is_in_container_layer, open_state, open_work


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder, where the default can't be written."""
    monkeypatch.setattr(folders, "DEFAULT_STATE", Path("/proc/vott-train"))
    monkeypatch.setattr(folders, "TEMPORARY", tmp_path / "vott-train-0")
    return tmp_path / "vott-train-0"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    assert open_state(tmp_path / "a/state").path == tmp_path / "a/state"
    assert mode(tmp_path / "a/state") == 0o700


def test_a_chosen_folder_that_exists_keeps_its_permissions_and_the_work_in_it_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    state = open_state(tmp_path)
    assert mode(state.path) == 0o755
    assert mode(open_work(None, state)) == 0o700
    work = open_work(tmp_path, state)
    assert (work.parent, mode(work), mode(tmp_path)) == (tmp_path, 0o700, 0o755)


def test_the_default_is_used_where_it_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "DEFAULT_STATE", tmp_path / "lib")
    assert open_state(None).path == tmp_path / "lib"


def test_otherwise_state_and_work_are_temporary(temporary: Path) -> None:
    assert (state := open_state(None)).path == temporary
    assert open_work(None, state).is_relative_to(temporary)
    assert mode(temporary) == 0o700


def test_a_folder_of_another_user_is_refused(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary.mkdir()
    if os.getuid() == 0:
        os.chown(temporary, 4321, 4321)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(SettingsError, match=r"--state: .*/vott-train-0 can't be written .it belongs to another user"):
        open_state(None)


def test_daemons_with_different_states_share_no_work(tmp_path: Path) -> None:
    one, other = (StateFolder(tmp_path / name) for name in ("one", "other"))
    assert open_work(None, one) != open_work(None, other)


@pytest.mark.parametrize("option", ["--state", "--work"])
def test_a_folder_is_for_one_daemon(tmp_path: Path, option: str) -> None:
    with (
        locked(tmp_path, option),
        pytest.raises(SettingsError, match=f"another daemon uses {tmp_path}; stop it, or choose another .*{option}"),
        locked(tmp_path, option),
    ):
        pass
    with locked(tmp_path, option):
        pass


def test_a_folder_that_cannot_be_locked_is_explained(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with (
        pytest.raises(SettingsError, match=r"--state: .*/lock can't be opened .Is a directory.; choose another"),
        locked(tmp_path, "--state"),
    ):
        pass


@pytest.mark.parametrize("file", [".dockerenv", "run/.containerenv"])
def test_in_a_container_only_a_volume_outlives_it(tmp_path: Path, file: str) -> None:
    (state := tmp_path / "state").mkdir()
    assert not is_in_container_layer(state, root=tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    assert is_in_container_layer(state, root=tmp_path)
    assert not is_in_container_layer(Path("/proc"), root=tmp_path)
