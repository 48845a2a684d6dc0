"""The model archive: reproducible, and safe to unpack."""

import contextlib
import gzip
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from vott_trainer.errors import UsageError
from vott_trainer.stores.checksums import sha256_and_md5
from vott_trainer.stores.model_archive import extract_file, pack, unpack


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
    assert sha256_and_md5(tmp_path / "one.tgz") == sha256_and_md5(tmp_path / "two.tgz")
    assert (tmp_path / "one.tgz").read_bytes()[4:8] == b"\0\0\0\0"  # gzip's own time (RFC 1952)


def test_unpacked_archive_holds_the_files(tmp_path: Path) -> None:
    pack(folder(tmp_path / "model", ["a/c.txt"], 1_000), tmp_path / "m.tgz")
    unpack(tmp_path / "m.tgz", tmp_path / "out")
    assert (tmp_path / "out/a/c.txt").read_text(encoding="utf-8") == "a/c.txt"


def test_archive_that_leads_outside_is_refused(tmp_path: Path) -> None:
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


def test_file_that_is_not_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.tgz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match=r"m\.tgz can't be read as a model archive"):
        unpack(tmp_path / "m.tgz", tmp_path / "out")


def test_one_file_is_extracted(tmp_path: Path) -> None:
    pack(folder(tmp_path / "model", ["a/c.txt", "b.txt"], 1_000), tmp_path / "m.tgz")
    extract_file(tmp_path / "m.tgz", "a/c.txt", tmp_path / "taken")
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "a/c.txt"


def test_missing_file_is_named(tmp_path: Path) -> None:
    pack(folder(tmp_path / "model", ["b.txt"], 1_000), tmp_path / "m.tgz")
    with pytest.raises(UsageError, match=r"m\.tgz can't be read as a model archive.*it holds no c\.txt"):
        extract_file(tmp_path / "m.tgz", "c.txt", tmp_path / "taken")


def archive(path: Path, *members: tarfile.TarInfo | bytes, content: bytes = b"") -> Path:
    """Write a .tgz of these headers, each followed by `content`."""
    blocks = [member if isinstance(member, bytes) else member.tobuf(tarfile.GNU_FORMAT) + content for member in members]
    path.write_bytes(gzip.compress(b"".join(blocks) + bytes(1024), 1))
    return path


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def pax(**fields: str) -> bytes:
    """An extended header (POSIX 1003.1) for the file after it."""
    lines = b""
    for name, value in fields.items():
        line = f" {name}={value}\n".encode()
        size = len(line) + len(str(len(line)))
        lines += str(size if len(str(size)) == len(str(len(line))) else size + 1).encode() + line
    header = member("pax", size=len(lines), kind=tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    return header + lines + bytes(-len(lines) % 512)


HOLES = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a"}


REFUSED = r"it holds more than 10,000 files or 8 GiB|end of data"


def inside(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) if folder.exists() else []


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil-of-test", "a/../../evil", "./../evil", "a/b/../../../evil"])
def test_name_that_leads_outside_is_refused(name: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "m.tgz", member(name))
    with pytest.raises(UsageError, match=r"it holds .*evil.*, which is outside"):
        unpack(path, tmp_path / "out")
    assert inside(tmp_path) == ["m.tgz"]
    assert not Path("/tmp/evil-of-test").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_only_files_are_unpacked_and_none_through_a_link(kind: bytes, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    way = member("way", kind=kind, link=str(tmp_path / "elsewhere"))
    unpack(archive(tmp_path / "m.tgz", way, member("way/file"), member("kept")), tmp_path / "out")
    assert inside(tmp_path / "elsewhere") == []
    assert inside(tmp_path / "out") == ["kept", "way", "way/file"]
    assert not (tmp_path / "out/way").is_symlink()


@pytest.mark.parametrize(
    "members",
    [
        [member("a", size=(8 << 30) + 1)],
        [member("a", size=5 << 30), member("b", size=5 << 30)],
        [member("a", size=1 << 60)],
        [member("a", size=-512)],
    ],
    ids=["one file", "two files", "one of an exbibyte", "a negative size"],
)
def test_archive_with_sizes_above_the_limits_is_refused(members: list[tarfile.TarInfo], tmp_path: Path) -> None:
    path = archive(tmp_path / "m.tgz", *members)
    with pytest.raises(UsageError, match=REFUSED):
        extract_file(path, "none", tmp_path / "taken")
    with pytest.raises(UsageError, match=REFUSED):
        unpack(path, tmp_path / "out")
    assert sum(file.stat().st_size for file in tmp_path.rglob("*")) < 1 << 20


def test_archive_of_too_many_files_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.tgz", *(member(f"{number}") for number in range(10_001)))
    with pytest.raises(UsageError, match=r"it holds more than 10,000 files or 8 GiB"):
        extract_file(path, "none", tmp_path / "taken")


def test_bomb_is_unpacked_no_further_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vott_trainer.stores.model_archive.MAX_BYTES", 10 << 20)
    path = archive(tmp_path / "m.tgz", member("a", size=6 << 20), member("b", size=6 << 20), content=bytes(6 << 20))
    assert path.stat().st_size < 100_000
    with pytest.raises(UsageError, match="it holds more than"):
        unpack(path, tmp_path / "out")
    assert inside(tmp_path / "out") == ["a"]


@pytest.mark.parametrize(
    "header",
    [
        pax(comment="x" * (16 << 20)),
        member("././@LongLink", size=16 << 20, kind=tarfile.GNUTYPE_LONGNAME).tobuf() + bytes(16 << 20),
        pax(path="x" * (2 << 20)),
        pax(**HOLES) + member("a", size=16 << 20).tobuf() + b"99999999\n" + b"1\n" * (8 << 20),
    ],
    ids=["comment", "long name", "long path", "map of holes"],
)  # fmt: skip
def test_header_of_many_megabytes_is_refused_before_it_is_in_memory(header: bytes, tmp_path: Path) -> None:
    path = archive(tmp_path / "m.tgz", header, member("a"))
    tracemalloc.start()
    with pytest.raises(UsageError, match="a part of it is larger than the limits"):
        unpack(path, tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_archive_is_decompressed_once_however_many_files_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeking back in a gzip file decompresses it from the start."""
    decompressed = list[int]()

    def read(file: gzip.GzipFile, size: int | None = -1, original: Callable[..., bytes] = gzip.GzipFile.read) -> bytes:
        decompressed.append(len(content := original(file, size)))
        return content

    monkeypatch.setattr(gzip.GzipFile, "read", read)
    (tmp_path / "model").mkdir()
    size = (256 << 10) - 512  # its end is that of a buffer, too
    for number in range(20):
        (tmp_path / f"model/{number}").write_bytes(bytes([number]) * size)
    pack(tmp_path / "model", tmp_path / "m.tgz")
    monkeypatch.setattr(gzip.GzipFile, "seek", lambda *_: pytest.fail("it may decompress from the start"))
    unpack(tmp_path / "m.tgz", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        str(number): bytes([number]) * size for number in range(20)
    }
    assert sum(decompressed) < 21 * (257 << 10)


def test_sparse_files_are_left_out(tmp_path: Path) -> None:
    """A sparse file may have exbibytes of zeros."""
    holes = member("holes", kind=tarfile.GNUTYPE_SPARSE)
    buffer = bytearray(holes.tobuf(tarfile.GNU_FORMAT))
    buffer[483:495] = b"77777777777\0"  # the size with its holes
    buffer[148:156] = b"%06o\0 " % (sum(buffer[:148]) + 8 * ord(" ") + sum(buffer[156:]))
    unpack(archive(tmp_path / "m.tgz", bytes(buffer), member("kept")), tmp_path / "out")
    assert inside(tmp_path / "out") == ["kept"]


@pytest.mark.parametrize(
    "content",
    [pax(path="a\0b") + member("x").tobuf(), pax(comment="x") * 900 + member("x").tobuf(), pax(size="-5") + member("x").tobuf()],
    ids=["a name with a null byte", "headers of headers", "a header with a negative size"],
)  # fmt: skip
def test_invalid_header_is_an_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"m\.tgz can't be read as a model archive"):
        unpack(archive(tmp_path / "m.tgz", content), tmp_path / "out")


def test_damaged_archive_is_an_error_or_files_inside_the_folder(tmp_path: Path) -> None:
    """With bytes changed at random, the same in each run."""
    pack(folder(tmp_path / "model", ["a/c.txt", "b.txt", "long" * 40], 1_000), tmp_path / "m.tgz")
    whole, rng = gzip.decompress((tmp_path / "m.tgz").read_bytes()), Random(7)
    for number in range(300):
        changed = bytearray(whole)
        for _ in range(rng.randint(1, 12)):
            changed[rng.randrange(len(changed) // 2)] = rng.randrange(256)
        (tmp_path / "m.tgz").write_bytes(gzip.compress(bytes(changed), 1))
        with contextlib.suppress(UsageError):
            unpack(tmp_path / "m.tgz", tmp_path / f"out/{number}")
    assert {path.name for path in tmp_path.iterdir()} <= {"m.tgz", "model", "out"}
