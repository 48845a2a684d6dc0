"""Decoding to 8-bit RGB: EXIF rotation, 16-bit channels, transparency."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vott_trainer.data.decoding import open_rgb
from vott_trainer.data.errors import UnsupportedImageError
from vott_trainer.data.exif_rotation import size_of


def gradient(kind: str) -> Image.Image:
    """256 shades from black to white, side by side."""
    return Image.fromarray(np.tile(np.arange(256, dtype=kind) * (257 if "2" in kind else 1), (4, 1)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp", "avif"])
def test_image_is_decoded_as_a_browser_shows_it(suffix: str, orientation: int, tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = orientation  # from 5 on: rotate by 90 degrees to show it
    image.save(path := tmp_path / f"rotated.{suffix}", exif=exif)
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


def test_limit_of_pixels_is_exact(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20)).save(path := tmp_path / "image.png")
    assert open_rgb(path, 800).size == (40, 20)
    with pytest.raises(UnsupportedImageError, match="more than 799 pixels"):
        open_rgb(path, 799)
