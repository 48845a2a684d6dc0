"""Archives made to do harm, and damaged ones: refused with the reason, and nothing is written but numbered files in one folder."""

import functools
import gzip
import io
import random
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.packed import Files, image, packed, voc
from vott_trainer.annotations import Annotations, limits, prepare, read
from vott_trainer.errors import BadAnnotationsError

GOOD: Files = {"a.xml": voc("a.png"), "a.png": image(1)}
Write = Callable[[Path], object]


def refusal(write: Write, tmp_path: Path) -> str:
    """The error; there must be no file outside the folder of the unpacked ones."""
    path = tmp_path / "work" / "annotations"
    path.parent.mkdir(exist_ok=True)
    write(path)
    with pytest.raises(BadAnnotationsError) as error:
        prepare(path, "a.zip")
    check_folder(tmp_path)
    return str(error.value)


def check_folder(tmp_path: Path) -> None:
    top = {
        found.relative_to(tmp_path).parts[:2] for found in tmp_path.rglob("*") if found.is_file() or found.is_symlink()
    }
    assert top <= {("work", "annotations"), ("work", "annotations.unpacked"), ("work", "annotations.unpacked.partial")}
    inside = list(tmp_path.glob("work/annotations.unpacked*/**/*"))
    assert all(
        found.is_file() and not found.is_symlink() and (found.name.isdecimal() or found.name == "index.json")
        for found in inside
    )


def contents(write: Write, tmp_path: Path) -> Annotations:
    path = tmp_path / "work" / "annotations"
    path.parent.mkdir(exist_ok=True)
    write(path)
    found = read(path, "a.zip")
    check_folder(tmp_path)
    return found


def zipped(*entries: tuple[zipfile.ZipInfo | str, bytes], mode: str = "w") -> Write:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, mode) as archive:  # type: ignore[call-overload]
            for info, content in entries:
                archive.writestr(info, content)

    return write


def tarred(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Write:
    def write(path: Path) -> None:
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            for info, content in members:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))

    return write


OUTSIDE = [
    "../x.png",
    "a/../../x.png",
    "/etc/x.png",
    "\\x.png",
    "..\\x.png",
    "C:\\x.png",
    "c:/x.png",
    "a/../../../../../../tmp/x.png",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_out_of_a_zip_archive_are_refused(name: str, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("x")
    info.filename = name
    assert "which leads out of the archive" in refusal(zipped((info, b"x")), tmp_path)


@pytest.mark.parametrize("name", [name for name in OUTSIDE if not name.startswith("/")])
def test_names_that_lead_out_of_a_tar_archive_are_refused(name: str, tmp_path: Path) -> None:
    assert "which leads out of the archive" in refusal(tarred((tarfile.TarInfo(name), b"x"), mode="w:gz"), tmp_path)


@pytest.mark.parametrize("name", ["a\nb.png", "\u202egnp.x", "\x1b[31m.png", "x" * 1001, " "])
def test_names_that_are_no_text_are_refused(name: str, tmp_path: Path) -> None:
    error = refusal(tarred((tarfile.TarInfo(name), b"x")), tmp_path)
    assert "a.zip holds a file whose name is no text of up to 1000 characters" in error
    assert error.isprintable()


def test_links_and_devices_are_not_made_but_reported(tmp_path: Path) -> None:
    kinds = {
        "s": tarfile.SYMTYPE,
        "h": tarfile.LNKTYPE,
        "c": tarfile.CHRTYPE,
        "b": tarfile.BLKTYPE,
        "f": tarfile.FIFOTYPE,
    }
    special = []
    for name, kind in kinds.items():
        info = tarfile.TarInfo(f"{name}.png")
        info.type, info.linkname = kind, "/etc/passwd"
        special.append((info, b""))
    good = [
        (tarfile.TarInfo(name), content if isinstance(content, bytes) else content.encode())
        for name, content in GOOD.items()
    ]
    found = contents(tarred(*special, *good), tmp_path)
    assert found.findings[0].what == "links and other special files are left out: s.png and 4 more"
    assert len(found.images) == 1


def test_link_in_a_zip_archive_is_not_made(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("b.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    good = [(name, content if isinstance(content, bytes) else content.encode()) for name, content in GOOD.items()]
    found = contents(zipped((link, b"/etc/passwd"), *good), tmp_path)
    assert found.findings[0].what == "links and other special files are left out: b.png"


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a.xml", "./a.xml", "x/../a.xml", ".\\a.xml"])
def test_two_files_of_one_name_are_refused(second: str, tmp_path: Path) -> None:
    error = refusal(zipped(("a.xml", b"1"), (second, b"2")), tmp_path)
    assert "a.zip holds 'a.xml' twice" in error or "leads out of the archive" in error


def test_encrypted_archive_is_named(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        packed(path, GOOD)
        data = bytearray(path.read_bytes())
        data[6] |= 1  # the flag of the first file
        data[data.index(b"PK\1\2") + 8] |= 1
        path.write_bytes(data)

    assert "a.zip is encrypted: pack the files without a password" in refusal(write, tmp_path)


@pytest.mark.parametrize(("method", "name"), [(zipfile.ZIP_LZMA, "LZMA"), (zipfile.ZIP_BZIP2, "bzip2")])
def test_other_compression_is_named(method: int, name: str, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a.xml")
    info.compress_type = method
    assert f"a.zip is compressed with {name}: pack the files with the usual compression" in refusal(
        zipped((info, b"x")), tmp_path
    )


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: pack its files as .zip or .tar.gz"),
        (b"Rar!\x1a\x07\x01\x00", "is a RAR archive"),
        (b"\xfd7zXZ\x00", "is a xz archive"),
        (b"BZh91AY", "is a bzip2 archive"),
        (b"\x28\xb5\x2f\xfd", "is a Zstandard archive"),
        (
            gzip.compress(b"https://store/a.jpg,1,2,3,4,cat\n", mtime=0),
            "is compressed with gzip, but no .tar.gz archive: decompress it",
        ),
        (b"\x1f\x8b\x08", "is compressed with gzip, but no .tar.gz archive"),
    ],
)
def test_other_archives_are_named(head: bytes, expected: str, tmp_path: Path) -> None:
    assert f"a.zip {expected}" in refusal(lambda path: path.write_bytes(head), tmp_path)


def test_workbook_is_named(tmp_path: Path) -> None:
    write = zipped(("[Content_Types].xml", b"<Types/>"), ("xl/workbook.xml", b"<workbook/>"))
    assert "a.zip is a workbook or another document of an office program: save its table as CSV UTF-8" in refusal(
        write, tmp_path
    )


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_part_of_an_archive_is_refused_wherever_it_ends(kind: str, tmp_path: Path) -> None:
    whole = packed(tmp_path / "whole", {**GOOD, "b.png": random.Random(1).randbytes(3000)}, kind).read_bytes()
    (tmp_path / "whole").unlink()
    for end in range(600, len(whole.rstrip(b"\0")) - 1, 97):
        error = refusal(functools.partial(Path.write_bytes, data=whole[:end]), tmp_path)
        assert "is a damaged" in error or "is compressed with gzip" in error


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_damaged_archive_is_read_or_refused(kind: str, tmp_path: Path) -> None:
    whole = packed(tmp_path / "whole", {**GOOD, "b.png": image(2)}, kind).read_bytes()
    (tmp_path / "whole").unlink()
    path = tmp_path / "work" / "annotations"
    path.parent.mkdir()
    refused = 0
    for seed in range(300):
        rng, data = random.Random(seed), bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            read(path, "a.zip")
        except BadAnnotationsError as error:
            assert str(error).startswith("a.zip ")  # noqa: PT017
            refused += 1
        check_folder(tmp_path)
    assert refused > 30


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a small archive reaches."""
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 1 << 20)
    monkeypatch.setattr(limits, "RATIO_FREE_BYTES", 1 << 16)
    monkeypatch.setattr(limits, "MAX_FILES", 50)
    monkeypatch.setattr(limits, "MAX_DIRECTORY_BYTES", 1 << 14)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("size", [3 << 18, 3 << 20])
def test_archive_that_would_grow_is_refused_before_it_does(kind: str, size: int, tmp_path: Path) -> None:
    error = refusal(lambda path: packed(path, {"a.png": b"\0" * size}, kind), tmp_path)
    assert "would grow to more than 100 times its size" in error if size < 1 << 20 else "GiB" in error
    assert sum(found.stat().st_size for found in tmp_path.rglob("*.partial/*")) <= 1 << 16


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_too_many_files_are_refused(kind: str, tmp_path: Path) -> None:
    files = {f"{number}.png": b"" for number in range(51)}
    assert "more than 50 files" in refusal(lambda path: packed(path, files, kind), tmp_path)
    assert len(list(tmp_path.rglob("*.partial/*"))) <= 50


@pytest.mark.usefixtures("small")
def test_long_list_of_files_is_not_read(tmp_path: Path) -> None:
    files = {f"{number}{'x' * 200}.png": b"" for number in range(100)}
    tracemalloc.start()
    error = refusal(lambda path: packed(path, files), tmp_path)
    tracemalloc.stop()
    assert "a.zip has a list of files of more than 0 MiB" in error


def test_size_that_a_zip_archive_gives_a_file_bounds_what_is_written(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        packed(path, {"a.png": b"\0" * 100_000})
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, 10)
        path.write_bytes(data)

    assert "is a damaged ZIP archive" in refusal(write, tmp_path)
    assert sum(found.stat().st_size for found in tmp_path.rglob("*.partial/*")) <= 10


def test_files_that_share_their_bytes_count_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of files may name the same bytes a thousand times."""
    monkeypatch.setattr(limits, "RATIO_FREE_BYTES", 1 << 16)

    def write(path: Path) -> None:
        packed(path, {"0.png": b"\0" * 10_000})
        data = path.read_bytes()
        start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
        entries = b"".join(
            data[start : start + 46] + b"%d.png" % number + data[start + 51 : end] for number in range(10)
        )
        tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 10, 10, len(entries), start, 0)
        path.write_bytes(data[:start] + entries + tail)

    error = refusal(write, tmp_path)
    assert "would grow to more than 100 times its size" in error or "is a damaged ZIP archive" in error


@pytest.mark.parametrize(
    "header", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE]
)
def test_large_headers_of_a_tar_archive_take_no_memory(header: bytes, tmp_path: Path) -> None:
    def write(path: Path) -> None:
        info = tarfile.TarInfo("a.png")
        info.type, info.size = header, 1 << 28
        with gzip.open(path, "wb", 1) as file:
            file.write(info.tobuf())
            file.writelines([b"0" * (1 << 20)] * 256)

    tracemalloc.start()
    error = refusal(write, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "a.zip is a tar archive, but a part of it is larger than the limits" in error or "is a damaged tar" in error
    assert peak < 16 << 20


def test_large_zip_archives_of_the_64_bit_kind_are_read(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in GOOD.items():
                with archive.open(name, "w", force_zip64=True) as file:
                    file.write(content if isinstance(content, bytes) else content.encode())

    assert len(contents(write, tmp_path).images) == 1


def test_name_of_a_mac_is_utf8_although_the_archive_does_not_say_so(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        packed(path, {"xx.xml": voc("é.png"), "yy.png": image(1)})
        data = path.read_bytes().replace(b"xx.xml", "é.xml".encode()[:6]).replace(b"yy.png", "é.png".encode())
        path.write_bytes(data)

    assert [found.url for found in contents(write, tmp_path).images] == ["a.zip/%C3%A9.png"]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Küche", "cp850"),
        ("ação", "cp850"),
        ("ação", "cp1252"),
        ("łódź", "cp852"),
        ("фото", "cp866"),
        ("写真", "cp932"),
        ("写真", "gbk"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_names_in_the_encoding_of_a_country_are_found(name: str, encoding: str, kind: str, tmp_path: Path) -> None:
    encoded = name.encode(encoding)
    placeholder = "x" * len(encoded)

    def write(path: Path) -> None:
        files = {"a.csv": f"{name}1.png,1,2,3,4,cat\n{name}2.png,1,2,3,4,dog\n"}
        packed(
            path, {**files, f"{placeholder}1.png": image(1), f"{placeholder}2.png": image(2)}, kind.removesuffix(".gz")
        )
        data = path.read_bytes().replace(placeholder.encode(), encoded)
        path.write_bytes(gzip.compress(_with_checksums(data)) if kind == "tar.gz" else data)

    found = contents(write, tmp_path)
    assert [(found.files[one.url].read_bytes(), one.boxes[0].label) for one in found.images] == [
        (image(1), "cat"),
        (image(2), "dog"),
    ]


def _with_checksums(tar: bytes) -> bytes:
    """Correct the headers of a tar archive whose names were changed."""
    blocks = bytearray(tar)
    for start in range(0, len(blocks), tarfile.BLOCKSIZE):
        if blocks[start + 257 : start + 262] == b"ustar":
            header = blocks[start : start + tarfile.BLOCKSIZE]
            blocks[start + 148 : start + 156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    return bytes(blocks)


def test_text_that_begins_like_no_archive_is_read_as_before(tmp_path: Path) -> None:
    found = contents(lambda path: path.write_bytes(b"https://store/a.jpg,1,2,3,4,cat\n"), tmp_path)
    assert found.labels == ["cat"]
