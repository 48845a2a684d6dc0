"""Hostile images: too large, too slow or no image at all; refused by their headers, in bounded memory and time."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from tests.support.http_server import HttpServer
from tests.unit.trainer import hostile_images
from vott_trainer.annotations.findings import Finding
from vott_trainer.data import decoding, pixel_limits
from vott_trainer.data.decoding import open_rgb
from vott_trainer.data.exif_rotation import size_of
from vott_trainer.data.image_download import ImageLimits, _Download, download_images
from vott_trainer.data.jpeg import MAX_SCANS, why_refused
from vott_trainer.data.pixel_limits import BUDGET, PixelBudget
from vott_trainer.http.fetch import FetchError

MEMORY = 400 << 20  # bytes, beside the program's own
SIDEWAYS = b"II*\0" + bytes.fromhex("08000000 0100 1201 0300 01000000 06000000 00000000")  # EXIF: rotate by 90 degrees
SECONDS = 20  # CPU time
OPEN_ALL = """
import contextlib, resource, sys
from pathlib import Path
from vott_trainer.data.decoding import open_rgb
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)
before = peak()
for path in sorted(Path(sys.argv[1]).iterdir()):
    with contextlib.suppress(Exception):
        open_rgb(path)
    print(path.name, peak() - before, sep=": ")
"""


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as outside of tests
@pytest.mark.parametrize("name", hostile_images.REFUSED)
def test_bomb_is_left_out_with_its_reason(name: str, server: HttpServer, tmp_path: Path) -> None:
    content, reason = hostile_images.REFUSED[name]
    url = server.serve("/image", content)
    good = [server.serve(f"/{number}.png", hostile_images.png()) for number in range(3)]
    downloaded = download_images([url, *good], tmp_path)
    assert downloaded.dropped == [Finding("image", url, reason)]
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow names the tags it skips
@pytest.mark.parametrize("name", hostile_images.ACCEPTED)
def test_image_with_much_other_content_is_decoded(name: str, tmp_path: Path) -> None:
    (path := tmp_path / "image").write_bytes(hostile_images.ACCEPTED[name])
    assert open_rgb(path).size == size_of(path)


def test_limit_of_scans_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "image"
    others = hostile_images.jpeg_with_scans(0).count(b"\xff\xda")
    for scans, reason in ((MAX_SCANS, ""), (MAX_SCANS + 1, hostile_images.TOO_MANY_SCANS)):
        path.write_bytes(hostile_images.jpeg_with_scans(scans - others))
        assert why_refused(path) == reason


def test_all_images_take_bounded_memory_and_time(tmp_path: Path) -> None:
    contents = {name: content for name, (content, _) in hostile_images.REFUSED.items()} | hostile_images.ACCEPTED
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", OPEN_ALL, str(tmp_path), str(SECONDS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    taken = dict(line.split(": ") for line in done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert taken.keys() == contents.keys()
    assert max(map(int, taken.values())) < MEMORY, taken


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_damaged_file_is_decoded_or_refused(kind: str, tmp_path: Path) -> None:
    """Truncated and changed at random positions, the same in each run."""
    whole, rng, path = hostile_images.encoded(hostile_images.PLAIN, kind), Random(kind), tmp_path / "image"
    job = _Download(None, tmp_path, ImageLimits(image_pixels=1_000_000), None, None)  # type: ignore[arg-type]
    for _ in range(150):
        content = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.3 else whole)
        for place in (rng.randrange(len(content)) for _ in range(rng.randint(1, 8)) if content):
            content[place] = rng.randrange(256)
        path.write_bytes(content)
        with contextlib.suppress(FetchError):
            job.check(path)


class BudgetOfThreads(PixelBudget):
    """Sets `all_arrived` once as many threads as there are have asked for pixels."""

    def __init__(self, pixels: int, threads: int) -> None:
        super().__init__(pixels)
        self.all_arrived = threading.Event()
        self._threads, self._arrivals = threads, itertools.count(1)

    @contextlib.contextmanager
    def reserved(self, pixels: int) -> Iterator[None]:
        if next(self._arrivals) == self._threads:
            self.all_arrived.set()
        with super().reserved(pixels):
            yield


def test_pixels_decoded_concurrently_stay_within_the_budget(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, peak, lock = [0], [0], threading.Lock()
    limits = ImageLimits()
    budget = BudgetOfThreads(64 * 48 * 3, limits.workers)

    def spied(image: Image.Image, decode: Callable[[Image.Image], Image.Image] = decoding._rgb) -> Image.Image:
        with lock:
            now[0] += image.width * image.height
            peak[0] = max(peak[0], now[0])
        assert budget.all_arrived.wait(30)
        with lock:
            now[0] -= image.width * image.height
        return decode(image)

    monkeypatch.setattr(decoding, "_rgb", spied)
    monkeypatch.setattr(pixel_limits, "BUDGET", budget)
    urls = [
        server.serve(f"/{number}.jpg", hostile_images.encoded(hostile_images.PLAIN, "JPEG")) for number in range(20)
    ]
    assert len(download_images(urls, tmp_path, limits=limits).files) == 20
    assert peak[0] == 64 * 48 * 3


def test_size_of_a_png_is_known_without_decoding_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path := tmp_path / "image").write_bytes(hostile_images.encoded(hostile_images.PLAIN, "PNG"))
    monkeypatch.setattr(PngImageFile, "load", lambda _image: pytest.fail("decoded"))
    assert size_of(path) == hostile_images.PLAIN.size


def test_png_that_must_be_decoded_for_its_size_waits_for_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, taken = hostile_images.encoded(hostile_images.PLAIN, "PNG"), list[int]()
    (path := tmp_path / "image").write_bytes(whole[:-12] + hostile_images.chunk(b"eXIf", SIDEWAYS) + whole[-12:])

    def load(image: PngImageFile, decode: Callable[[PngImageFile], object] = PngImageFile.load) -> object:
        taken.append(BUDGET.used)
        return decode(image)

    monkeypatch.setattr(PngImageFile, "load", load, raising=False)
    assert size_of(path) == open_rgb(path).size == (48, 64)
    assert set(taken) == {64 * 48}


def test_budget_covers_the_whole_tiles_of_a_tiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[int]()
    monkeypatch.setattr(decoding, "_rgb", lambda _image: taken.append(BUDGET.used))
    (path := tmp_path / "image").write_bytes(hostile_images.tiled(4992))
    open_rgb(path)
    assert taken == [4992 * 4992]


def test_avif_is_decoded_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its frame may be larger than its header states."""
    taken = list[int]()
    monkeypatch.setattr(decoding, "_rgb", lambda _image: taken.append(BUDGET.used))
    (path := tmp_path / "image").write_bytes(hostile_images.encoded(hostile_images.PLAIN, "AVIF"))
    open_rgb(path)
    assert taken == [BUDGET.total]


def test_image_larger_than_the_whole_budget_is_decoded_alone() -> None:
    budget = PixelBudget(10)
    with budget.reserved(99):
        assert budget.used == budget.total == 10
    assert budget.used == 0


def test_budget_is_released_by_an_image_that_fails(tmp_path: Path) -> None:
    (path := tmp_path / "image").write_bytes(hostile_images.encoded(hostile_images.PLAIN, "BMP")[:-99])
    with pytest.raises(OSError, match="truncated"):
        open_rgb(path)
    assert BUDGET.used == 0
