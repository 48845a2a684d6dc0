"""Results that are made once."""

import queue
import threading
from pathlib import Path

import pytest

from localcluster import cached


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "cache_folder", lambda: tmp_path)


def test_a_finished_build_is_not_needed_again() -> None:
    with cached.build_once("thing", "key") as first:
        assert first.is_needed
        (first.folder / "result").write_text("made")
    with cached.build_once("thing", "key") as second:
        assert not second.is_needed
        assert (second.folder / "result").read_text() == "made"


def test_a_failed_build_is_made_again_from_nothing() -> None:
    def fail() -> None:
        with cached.build_once("thing", "key") as first:
            (first.folder / "half").write_text("")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with cached.build_once("thing", "key") as second:
        assert second.is_needed
        assert list(second.folder.iterdir()) == []


def test_of_builders_at_the_same_time_one_builds_and_the_others_wait_for_it() -> None:
    builds = []

    def build() -> None:
        with cached.build_once("thing", "key") as this:
            if this.is_needed:
                builds.append(this)
            else:
                assert (this.folder / "complete").exists()

    threads = [threading.Thread(target=build) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1


def test_who_waits_for_a_lock_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, said = tmp_path / "lock", queue.Queue[str]()
    monkeypatch.setattr(cached, "say", said.put)

    def wait() -> None:
        with cached.locked(path):
            pass

    waiting = threading.Thread(target=wait)
    with cached.locked(path):
        waiting.start()
        assert said.get(timeout=30) == f"Waiting for another run, which holds {path} …"
    waiting.join()


def test_a_file_key_changes_with_name_content_and_executable_bit(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("x")
    keys = {cached.files_key([file], tmp_path)}
    file.chmod(0o755)
    keys.add(cached.files_key([file], tmp_path))
    file.write_text("y")
    keys.add(cached.files_key([file], tmp_path))
    other = file.rename(tmp_path / "b")
    keys.add(cached.files_key([other], tmp_path))
    assert len(keys) == 4


def test_a_key_tells_where_each_part_ends() -> None:
    assert cached.content_key("ab", "c") != cached.content_key("a", "bc")
