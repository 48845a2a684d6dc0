"""Fetching many images: a few bad ones are left out, many are an error that says why."""

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainer.http_server import Answer, HttpServer
from tests.unit.trainer.shapes import image_with_shapes, png
from vott_trainer.annotations.findings import Finding
from vott_trainer.data.images import Fetched, Limits, fetch_all, open_rgb, size_of
from vott_trainer.errors import NoUsableImagesError, TemporaryFailureError
from vott_trainer.http.image_cache import Cache
from vott_trainer.http.retry import Backoff

GOOD = image_with_shapes(0)[0]


def jpeg_with_broken_exif() -> bytes:
    """An image that decodes, and that can't be turned as its EXIF data asks: the width is no integer there."""
    width = struct.pack(">HHI4s", 0x0100, 1, 1, b"\xff\0\0\0")
    orientation = struct.pack(">HHI4s", 0x0112, 3, 1, b"\0\x06\0\0")
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + width + orientation + bytes(4)
    Image.new("RGB", (40, 20)).save(file := BytesIO(), "JPEG", exif=exif)
    return file.getvalue()


def tiff(image: Image.Image) -> bytes:
    image.save(file := BytesIO(), "TIFF")
    return file.getvalue()


def gradient(kind: str) -> Image.Image:
    """256 shades from black to white, side by side."""
    return Image.fromarray(np.tile(np.arange(256, dtype=kind) * (257 if "2" in kind else 1), (4, 1)))


def fetch(urls: list[str], folder: Path, limits: Limits | None = None) -> Fetched:
    return fetch_all(urls, folder, limits=limits, backoff=Backoff(attempts=2, sleep=lambda _seconds: None))


def good(server: HttpServer, count: int) -> list[str]:
    return [server.serve(f"/good/{number}.png", GOOD) for number in range(count)]


def test_all_images_come_and_progress_is_told(server: HttpServer, tmp_path: Path) -> None:
    urls, told = good(server, 5), list[tuple[int, int]]()
    fetched = fetch_all(urls, tmp_path, on_progress=lambda done, total: told.append((done, total)))
    assert set(fetched.files) == set(urls)
    assert all(path.read_bytes() == GOOD for path in fetched.files.values())
    assert told == [(done, 5) for done in range(1, 6)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (GOOD[:-40], "not an image, or a truncated one"),
        (jpeg_with_broken_exif(), "not an image, or a truncated one"),
        (b"<html>sign in</html>", "not an image, or a truncated one"),
        (b"x" * 5000, "larger than the limit of 0 MiB"),
        (png(Image.new("L", (300, 300))), "more than 50,000 pixels"),
        (tiff(Image.new("F", (20, 20))), "an image with 32 bits a channel: save it with 8 or 16 bits"),
        (tiff(Image.new("I", (20, 20))), "an image with 32 bits a channel: save it with 8 or 16 bits"),
    ],
    ids=["truncated", "broken EXIF", "no image", "too many bytes", "too many pixels", "32-bit float", "32-bit"],
)
def test_bad_image_is_left_out_with_its_reason(content: bytes, why: str, server: HttpServer, tmp_path: Path) -> None:
    bad = server.serve("/bad.png", content) + "?sig=SECRET"
    fetched = fetch([*good(server, 4), bad], tmp_path, Limits(image_bytes=4000, image_pixels=50_000))
    assert fetched.dropped == [Finding("image", server.url + "/bad.png", why)]
    assert len(fetched.files) == 4


def test_more_bad_images_than_the_limit_are_an_error_that_names_the_first_few(
    server: HttpServer, tmp_path: Path
) -> None:
    missing = [f"{server.url}/missing/{number}.png?sig=SECRET" for number in range(2)]
    with pytest.raises(NoUsableImagesError) as error:
        fetch([*good(server, 10), *missing], tmp_path)
    said = str(error.value)
    assert "2 of 12 images can't be used, at most 1 may be left out" in said
    assert f"{server.url}/missing/0.png: HTTP 404 Not Found" in said
    assert "SECRET" not in said


def test_store_that_is_down_is_a_passing_fault(server: HttpServer, tmp_path: Path) -> None:
    for name in ("/a.png", "/b.png"):
        server.always[name] = Answer(503)
    with pytest.raises(TemporaryFailureError, match="HTTP 503 Service Unavailable"):
        fetch([server.url + "/a.png", server.url + "/b.png"], tmp_path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_image_is_read_as_a_browser_shows_it(suffix: str, orientation: int, tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = orientation  # from 5 on: rotate by 90 degrees to show it
    image.save(path := tmp_path / f"turned.{suffix}", exif=exif)
    assert open_rgb(path).size == size_of(path) == ((40, 20) if orientation < 5 else (20, 40))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2"])
def test_grey_is_as_dark_with_16_bits_as_with_8(kind: str, suffix: str, tmp_path: Path) -> None:
    gradient(kind).save(path := tmp_path / f"grey.{suffix}")
    assert np.asarray(open_rgb(path))[0].tolist() == [[shade] * 3 for shade in range(256)]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_shown_over_white(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    image.convert(mode).save(path := tmp_path / "transparent.png")
    assert np.asarray(open_rgb(path)).tolist() == [[[255] * 3, [0] * 3]]


def test_second_training_takes_unchanged_images_from_the_cache(server: HttpServer, tmp_path: Path) -> None:
    urls = [f"{server.url}/{number}.png?sig=x" for number in range(3)]
    for number in range(3):
        server.answers[f"/{number}.png"] = [Answer(200, GOOD, {"ETag": '"1"'}), Answer(304)]
    for training, cached in (("first", 0), ("second", 3)):
        fetched = fetch_all(urls, tmp_path / training, cache=Cache(tmp_path / "cache"))
        assert [path.read_bytes() for path in fetched.files.values()] == [GOOD] * 3
        assert fetched.cached == cached


class Counted(list[str]):
    """Knows how many of its items were asked for."""

    asked = 0

    def __iter__(self) -> Iterator[str]:
        for item in super().__iter__():
            self.asked += 1
            yield item


def test_very_many_images_do_not_wait_all_at_once(server: HttpServer, tmp_path: Path) -> None:
    urls, asked = Counted(good(server, 50)), list[int]()
    fetch_all(urls, tmp_path, limits=Limits(workers=2), on_progress=lambda _done, _total: asked.append(urls.asked))
    assert asked[0] == 4
    assert asked[-1] == 50
