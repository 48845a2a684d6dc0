"""The model archive."""

import os
import tarfile
from pathlib import Path

import pytest

from vott_trainer.archive import digests, pack, take, unpack
from vott_trainer.errors import UsageError


def folder(path: Path, names: list[str], time: int) -> Path:
    for name in names:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name, encoding="utf-8")
        os.utime(file, (time, time))
    return path


def test_same_files_make_the_same_archive(tmp_path: Path) -> None:
    pack(folder(tmp_path / "one", ["b.txt", "a/c.txt"], 1_000), tmp_path / "one.tgz")
    pack(folder(tmp_path / "two", ["a/c.txt", "b.txt"], 2_000), tmp_path / "two.tgz")
    assert digests(tmp_path / "one.tgz") == digests(tmp_path / "two.tgz")
    assert (tmp_path / "one.tgz").read_bytes()[4:8] == b"\0\0\0\0"  # gzip's own time (RFC 1952)


def test_unpacked_archive_holds_the_files(tmp_path: Path) -> None:
    pack(folder(tmp_path / "model", ["a/c.txt"], 1_000), tmp_path / "m.tgz")
    unpack(tmp_path / "m.tgz", tmp_path / "out")
    assert (tmp_path / "out/a/c.txt").read_text(encoding="utf-8") == "a/c.txt"


def test_archive_that_points_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evil").touch()
    with tarfile.open(tmp_path / "m.tgz", "w:gz") as tar:
        tar.add(tmp_path / "evil", "../evil")
    with pytest.raises(UsageError, match="can't be read as a model archive"):
        unpack(tmp_path / "m.tgz", tmp_path / "out")


def test_links_are_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "m.tgz", "w:gz") as tar:
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("b"))
    unpack(tmp_path / "m.tgz", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b"]


def test_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.tgz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match=r"m\.tgz can't be read as a model archive"):
        unpack(tmp_path / "m.tgz", tmp_path / "out")


def test_one_file_is_taken_out_of_an_archive(tmp_path: Path) -> None:
    pack(folder(tmp_path / "model", ["a/c.txt", "b.txt"], 1_000), tmp_path / "m.tgz")
    take(tmp_path / "m.tgz", "a/c.txt", tmp_path / "taken")
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "a/c.txt"


def test_file_that_an_archive_does_not_hold_is_said(tmp_path: Path) -> None:
    pack(folder(tmp_path / "model", ["b.txt"], 1_000), tmp_path / "m.tgz")
    with pytest.raises(UsageError, match=r"m\.tgz can't be read as a model archive.*it holds no c\.txt"):
        take(tmp_path / "m.tgz", "c.txt", tmp_path / "taken")
