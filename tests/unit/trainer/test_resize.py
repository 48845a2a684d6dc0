"""Resizing while decoding: a large JPEG is decoded at a fraction of its size, and objects stay where their boxes are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.JpegImagePlugin import JpegImageFile
from PIL.MpoImagePlugin import MpoImageFile

from vott_trainer.annotations import Box
from vott_trainer.data.decoding import open_rgb
from vott_trainer.data.errors import UnsupportedImageError
from vott_trainer.data.orientation import SIDEWAYS
from vott_trainer.data.pixel_limits import BUDGET
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision import resize
from vott_trainer.vision.detector_samples import load_pixels, load_sample

SIZE = (1003, 757)  # no multiple of a JPEG's fractions
OBJECT = (611, 402, 683, 498)


def picture(mode: str = "RGB") -> Image.Image:
    """A white object on a gradient."""
    width, height = SIZE
    across = np.broadcast_to(np.linspace(0, 120, width), (height, width))
    down = np.broadcast_to(np.linspace(0, 120, height)[:, None], (height, width))
    image = Image.fromarray(np.stack((across, down, 120 - across), axis=-1).astype(np.uint8))
    left, top, right, bottom = OBJECT
    ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), fill="white")
    return image.convert(mode)


def saved(path: Path, image: Image.Image, orientation: int = 1, **options: Any) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif, **options)
    return path


def whole(path: Path, size: int, *, square: bool = False) -> NDArray[np.float64]:
    """The image resized after decoding it at its full size."""
    image = open_rgb(path)
    scale = size / max(image.size)
    sides = (size, size) if square else (round(image.width * scale), round(image.height * scale))
    return np.asarray(image.resize(sides, Image.Resampling.BILINEAR), float).transpose(2, 0, 1)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Sizes at which JPEGs are decoded."""
    sizes: list[tuple[int, int]] = []

    def load(image: JpegImageFile, decode: Callable[[JpegImageFile], object] = JpegImageFile.load) -> object:
        sizes.append(image.size)
        return decode(image)

    monkeypatch.setattr(JpegImageFile, "load", load)
    return sizes


@pytest.mark.parametrize(
    ("orientation", "mode", "progressive"),
    [
        *((orientation, "RGB", False) for orientation in range(1, 9)),
        (6, "L", False),
        (6, "CMYK", False),
        (6, "RGB", True),
    ],
)
def test_large_jpeg_is_decoded_at_a_fraction_of_its_size_and_looks_as_before(
    orientation: int, mode: str, progressive: bool, decoded: list[tuple[int, int]], tmp_path: Path
) -> None:
    path = saved(tmp_path / "a.jpg", picture(mode), orientation, quality=95, progressive=progressive)
    expected = whole(path, 100)
    decoded.clear()
    pixels, scale = load_pixels(path, 100)
    assert set(decoded) == {(251, 190)}
    assert scale == ((75 / 757, 100 / 1003) if orientation in SIDEWAYS else (100 / 1003, 75 / 757))
    assert pixels.shape == expected.shape
    assert np.abs(pixels.numpy() - expected).mean() < 1.5


def centre(pixels: NDArray[np.float64]) -> tuple[float, float]:
    """The object's centre: the mean position of its pixels, weighted by whiteness."""
    white = (pixels.min(axis=0) - 130).clip(min=0)
    across, down = (((np.arange(len(side)) + 0.5) * side).sum() / side.sum() for side in (white.sum(0), white.sum(1)))
    return float(across), float(down)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_object_stays_in_its_box(orientation: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", picture(), orientation, quality=95)
    mask = np.asarray(open_rgb(path)).min(axis=2) > 200
    (top, bottom), (left, right) = ((where.min(), where.max() + 1) for where in mask.nonzero())
    box = Box(float(left), float(top), float(right - left), float(bottom - top), "a")
    image = LabelledImage("https://store/a.jpg", path, [box])
    sample = load_sample(image, ["a"], 100)
    assert centre(sample.pixels.numpy().astype(float)) == pytest.approx(centre(whole(path, 100)), abs=0.02)
    square = load_sample(image, ["a"], 100, square=True)
    assert centre(square.pixels.numpy().astype(float)) == pytest.approx(centre(whole(path, 100, square=True)), abs=0.02)
    for one in (sample, square):
        across, down = one.scale
        scaled = (left * across, top * down, right * across, bottom * down)
        assert one.boxes[0].tolist() == pytest.approx(scaled, abs=1e-4)
        assert one.pixels.shape[1:] == tuple(
            round(side * scale) for side, scale in zip(mask.shape, (down, across), strict=True)
        )


def test_wide_photo_keeps_its_rows_in_a_square(tmp_path: Path) -> None:
    """Stripes of 2 of 1080 rows: 512 rows show them; 288 rows, as in a picture of 512 x 288, can't."""
    stripes = np.broadcast_to(np.arange(1080)[:, None, None] // 2 % 2 * np.uint8(255), (1080, 1920, 3))
    Image.fromarray(stripes.astype(np.uint8)).save(path := tmp_path / "a.jpg", quality=95)
    pixels, scale = load_pixels(path, 512, square=True)
    assert (pixels.shape, scale) == ((3, 512, 512), (512 / 1920, 512 / 1080))
    assert pixels.float().std(dim=1).mean() > 40
    assert load_pixels(path, 512)[0].float().std(dim=1).mean() < 20


def test_jpeg_of_several_frames_is_decoded_at_a_fraction_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    picture().save(path, "MPO", save_all=True, append_images=[Image.new("RGB", SIZE)], quality=95)
    with Image.open(path) as image:
        assert isinstance(image, MpoImageFile)
    assert np.abs(load_pixels(path, 100)[0].numpy() - whole(path, 100)).mean() < 1.5


@pytest.mark.parametrize(("suffix", "size"), [("jpg", 500), ("jpg", 2000), ("png", 100), ("webp", 100)])
def test_other_images_are_decoded_whole(suffix: str, size: int, tmp_path: Path) -> None:
    picture().save(path := tmp_path / f"a.{suffix}")
    assert resize._from_large_jpeg(path, size, square=False) is None
    assert np.abs(load_pixels(path, size)[0].numpy() - whole(path, size)).mean() < 1.5


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as in the trainer
@pytest.mark.parametrize("most", [1, 3])
def test_jpeg_of_too_many_pixels_is_refused_at_any_fraction(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture().save(path := tmp_path / "a.jpg")
    pixels = SIZE[0] * SIZE[1]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels // most)  # beyond twice as many Pillow raises by itself
    monkeypatch.setattr(resize, "MAX_PIXELS", pixels - 1)
    monkeypatch.setattr(open_rgb, "__defaults__", (pixels - 1,))
    with pytest.raises(UnsupportedImageError, match="pixels"):
        load_pixels(path, 100)


def test_pixel_budget_covers_the_whole_jpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture().save(path := tmp_path / "a.jpg")
    used: list[int] = []

    def load(image: JpegImageFile, decode: Callable[[JpegImageFile], object] = JpegImageFile.load) -> object:
        used.append(BUDGET.used)
        return decode(image)

    monkeypatch.setattr(JpegImageFile, "load", load)
    load_pixels(path, 100)
    assert set(used) == {SIZE[0] * SIZE[1]}
