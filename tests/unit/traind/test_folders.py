"""State and work folders: private, and where they can be written."""

import os
from pathlib import Path

import pytest

from vott_messaging.errors import SettingsError
from vott_traind import folders
from vott_traind.folders import open_state, open_work


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder, where the default can't be written."""
    monkeypatch.setattr(folders, "DEFAULT_STATE", Path("/proc/vott-train"))
    monkeypatch.setattr(folders, "TEMPORARY", tmp_path / "vott-train-0")
    return tmp_path / "vott-train-0"


def test_a_chosen_folder_is_made_private(tmp_path: Path) -> None:
    (chosen := tmp_path / "a/state").mkdir(parents=True, mode=0o755)
    assert open_state(chosen).path == chosen
    assert chosen.stat().st_mode & 0o077 == 0


def test_the_default_is_used_where_it_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "DEFAULT_STATE", tmp_path / "lib")
    assert open_state(None).path == tmp_path / "lib"


def test_otherwise_state_and_work_are_temporary(temporary: Path) -> None:
    assert (open_state(None).path, open_work(None)) == (temporary / "state", temporary / "work")
    assert temporary.stat().st_mode & 0o077 == 0


def test_a_folder_of_another_user_is_refused(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary.mkdir()
    if os.getuid() == 0:
        os.chown(temporary, 4321, 4321)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(SettingsError, match=r"--work: .*/work can't be written .it belongs to another user"):
        open_work(None)
