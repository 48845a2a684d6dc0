"""Images that want to be large, slow or something else: refused by what they say of themselves, and never with much memory."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from tests.unit.trainer import bombs
from tests.unit.trainer.http_server import HttpServer
from vott_trainer.annotations.findings import Finding
from vott_trainer.data import images
from vott_trainer.data.images import Limits, Room, fetch_all, open_rgb, size_of
from vott_trainer.http.fetch import FetchError

MEMORY = 400 << 20  # bytes beyond what the program itself takes
SIDEWAYS = b"II*\0" + bytes.fromhex("08000000 0100 1201 0300 01000000 06000000 00000000")  # EXIF: turn it by 90 degrees
SECONDS = 20  # of the processor
OPEN_ALL = """
import contextlib, resource, sys
from pathlib import Path
from vott_trainer.data.images import open_rgb
def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)
before = most()
for path in sorted(Path(sys.argv[1]).iterdir()):
    with contextlib.suppress(Exception):
        open_rgb(path)
    print(path.name, most() - before, sep=": ")
"""


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as outside of tests
@pytest.mark.parametrize("name", bombs.REFUSED)
def test_bomb_is_left_out_with_its_reason(name: str, server: HttpServer, tmp_path: Path) -> None:
    content, why = bombs.REFUSED[name]
    url = server.serve("/image", content)
    good = [server.serve(f"/{number}.png", bombs.png()) for number in range(3)]
    fetched = fetch_all([url, *good], tmp_path)
    assert fetched.dropped == [Finding("image", url, why)]
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells which tags it passes over
@pytest.mark.parametrize("name", bombs.ACCEPTED)
def test_image_with_much_beside_its_picture_is_read(name: str, tmp_path: Path) -> None:
    (path := tmp_path / "image").write_bytes(bombs.ACCEPTED[name])
    assert open_rgb(path).size == size_of(path)


def test_nothing_of_this_needs_much_memory_or_time(tmp_path: Path) -> None:
    contents = {name: content for name, (content, _) in bombs.REFUSED.items()} | bombs.ACCEPTED
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", OPEN_ALL, str(tmp_path), str(SECONDS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    taken = dict(line.split(": ") for line in done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert taken.keys() == contents.keys()
    assert max(map(int, taken.values())) < MEMORY, taken


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_damaged_file_is_an_image_or_none_but_nothing_else(kind: str, tmp_path: Path) -> None:
    """Cut off and changed at random places, the same ones in each run."""
    whole, rng, path = bombs.saved(bombs.PLAIN, kind), Random(kind), tmp_path / "image"
    fetch = images._Fetch(None, tmp_path, Limits(image_pixels=1_000_000), None, None)  # type: ignore[arg-type]
    for _ in range(150):
        content = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.3 else whole)
        for place in (rng.randrange(len(content)) for _ in range(rng.randint(1, 8)) if content):
            content[place] = rng.randrange(256)
        path.write_bytes(content)
        with contextlib.suppress(FetchError):
            fetch._check(path)


def test_no_more_pixels_are_decoded_at_once_than_there_is_room_for(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, most, lock = [0], [0], threading.Lock()

    def spied(image: Image.Image, decode: Callable[[Image.Image], Image.Image] = images._rgb) -> Image.Image:
        with lock:
            now[0] += image.width * image.height
            most[0] = max(most[0], now[0])
        time.sleep(0.02)  # long enough for the other threads to come
        with lock:
            now[0] -= image.width * image.height
        return decode(image)

    monkeypatch.setattr(images, "_rgb", spied)
    monkeypatch.setattr(images, "ROOM", Room(64 * 48 * 3))
    urls = [server.serve(f"/{number}.jpg", bombs.saved(bombs.PLAIN, "JPEG")) for number in range(20)]
    assert len(fetch_all(urls, tmp_path).files) == 20
    assert most[0] == 64 * 48 * 3


def test_size_of_a_png_is_known_without_decoding_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path := tmp_path / "image").write_bytes(bombs.saved(bombs.PLAIN, "PNG"))
    monkeypatch.setattr(PngImageFile, "load", lambda _image: pytest.fail("it is decoded"))
    assert size_of(path) == bombs.PLAIN.size


def test_png_that_must_be_decoded_for_its_size_waits_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, taken = bombs.saved(bombs.PLAIN, "PNG"), list[int]()
    (path := tmp_path / "image").write_bytes(whole[:-12] + bombs.chunk(b"eXIf", SIDEWAYS) + whole[-12:])

    def load(image: PngImageFile, decode: Callable[[PngImageFile], object] = PngImageFile.load) -> object:
        taken.append(images.ROOM._all - images.ROOM._free)
        return decode(image)

    monkeypatch.setattr(PngImageFile, "load", load, raising=False)
    assert size_of(path) == open_rgb(path).size == (48, 64)
    assert set(taken) == {64 * 48}


def test_room_is_taken_for_the_whole_tiles_of_a_tiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[int]()
    monkeypatch.setattr(images, "_rgb", lambda _image: taken.append(images.ROOM._all - images.ROOM._free))
    (path := tmp_path / "image").write_bytes(bombs.tiled(4992))
    open_rgb(path)
    assert taken == [4992 * 4992]


def test_image_that_is_larger_than_all_the_room_is_decoded_alone() -> None:
    room = Room(10)
    with room.taken(99):
        assert room._free == 0
    assert room._free == 10


def test_room_is_given_back_by_an_image_that_fails(tmp_path: Path) -> None:
    (path := tmp_path / "image").write_bytes(bombs.saved(bombs.PLAIN, "BMP")[:-99])
    with pytest.raises(OSError, match="truncated"):
        open_rgb(path)
    assert images.ROOM._free == images.ROOM._all
