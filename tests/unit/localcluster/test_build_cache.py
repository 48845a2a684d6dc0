"""The build cache and its lock."""

import queue
import threading
from pathlib import Path

import pytest

from localcluster import build_cache, file_lock


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_cache, "cache_folder", lambda: tmp_path)


def test_a_finished_build_is_not_needed_again() -> None:
    with build_cache.build_once("thing", "key") as first:
        assert first.is_needed
        (first.folder / "result").write_text("built")
    with build_cache.build_once("thing", "key") as second:
        assert not second.is_needed
        assert (second.folder / "result").read_text() == "built"


def test_a_failed_build_starts_over_in_an_empty_folder() -> None:
    def fail() -> None:
        with build_cache.build_once("thing", "key") as first:
            (first.folder / "half").write_text("")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with build_cache.build_once("thing", "key") as second:
        assert second.is_needed
        assert list(second.folder.iterdir()) == []


def test_concurrent_builders_wait_for_the_one_that_builds() -> None:
    builds = []

    def build() -> None:
        with build_cache.build_once("thing", "key") as this:
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


def test_waiting_for_a_lock_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lines = tmp_path / "lock", queue.Queue[str]()
    monkeypatch.setattr(file_lock, "print_line", lines.put)

    def wait() -> None:
        with file_lock.locked(path):
            pass

    waiting = threading.Thread(target=wait)
    with file_lock.locked(path):
        waiting.start()
        assert lines.get(timeout=30) == f"Waiting for another run, which holds {path} …"
    waiting.join()


def test_a_file_key_changes_with_name_content_and_executable_bit(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("x")
    keys = {build_cache.files_key([file], tmp_path)}
    file.chmod(0o755)
    keys.add(build_cache.files_key([file], tmp_path))
    file.write_text("y")
    keys.add(build_cache.files_key([file], tmp_path))
    other = file.rename(tmp_path / "b")
    keys.add(build_cache.files_key([other], tmp_path))
    assert len(keys) == 4


def test_a_key_depends_on_where_each_part_ends() -> None:
    assert build_cache.content_key("ab", "c") != build_cache.content_key("a", "bc")
