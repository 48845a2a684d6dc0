"""TIFFs of every layout: decoded to the right pixels, or refused by name."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainer.tiff_files import SHORT, Order, Pixels, Tiff
from vott_trainer.data.decoding import open_rgb, which_frame
from vott_trainer.data.errors import UnsupportedImageError
from vott_trainer.data.exif_rotation import shown

SHADES = (np.arange(40 * 50) % 256).reshape(40, 50)
GREY = np.repeat(SHADES[..., None], 3, axis=2)
RGB = np.stack([SHADES, SHADES[::-1], SHADES[:, ::-1]], axis=2)
OPAQUE = np.full((40, 50, 1), 255)
PALETTE = np.random.default_rng(0).integers(0, 256, (256, 3))
EXTRA_SAMPLES = 338
UNSPECIFIED, PREMULTIPLIED, ALPHA = 0, 1, 2

ORDERS: tuple[Order, ...] = ("<", ">")
CONTAINERS = [
    Tiff(order, tile=tile, deflate=deflate)
    for order, tile, deflate in itertools.product(ORDERS, (0, 16), (False, True))
]
NAMES = [f"{c.order} {'tiles' if c.tile else 'strip'} {'deflate' if c.deflate else 'raw'}" for c in CONTAINERS]
GREYS = {
    "8 bits": (SHADES.astype("u1"), 0),
    "16 bits": ((SHADES * 257).astype("u2"), 0),
    "16 bits of undefined format": ((SHADES * 257).astype("u2"), 4),
    "8 signed bits": ((SHADES - 128).astype("i1"), 0),
    "16 signed bits": ((SHADES * 257 - 32768).astype("i2"), 0),
}
CHANNELS = {
    "RGB": (RGB, 2, [], RGB),
    "RGB with an unspecified channel": (np.concatenate([RGB, OPAQUE], 2), 2, [UNSPECIFIED], RGB),
    "RGB with premultiplied alpha": (np.concatenate([RGB, OPAQUE], 2), 2, [PREMULTIPLIED], RGB),
    "RGB with alpha": (np.concatenate([RGB, OPAQUE], 2), 2, [ALPHA], RGB),
    "CMYK": (np.concatenate([RGB, OPAQUE * 0], 2), 5, [], 255 - RGB),
}


def decoded(content: bytes, folder: Path) -> Pixels:
    (path := folder / "image.tif").write_bytes(content)
    return np.asarray(open_rgb(path)).astype(int)


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("kind", GREYS)
@pytest.mark.parametrize("container", CONTAINERS, ids=NAMES)
def test_lowest_grey_is_black_unless_white_is_zero(
    container: Tiff, kind: str, white_is_zero: bool, tmp_path: Path
) -> None:
    pixels, sample_format = GREYS[kind]
    tiff = replace(container, photometric=0 if white_is_zero else 1, sample_format=sample_format)
    assert (decoded(tiff.encode(pixels), tmp_path) == (255 - GREY if white_is_zero else GREY)).all()


@pytest.mark.parametrize("separate", [False, True], ids=["interleaved", "planes"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", CHANNELS)
@pytest.mark.parametrize("container", CONTAINERS, ids=NAMES)
def test_channels_are_not_mixed_up(container: Tiff, kind: str, bits: int, separate: bool, tmp_path: Path) -> None:
    pixels, photometric, extra, shown = CHANNELS[kind]
    more = [(EXTRA_SAMPLES, SHORT, extra)] if extra else []
    tiff = replace(container, photometric=photometric, separate=separate, more=more)
    content = tiff.encode(pixels.astype("u1") if bits == 8 else (pixels * 257).astype("u2"))
    assert np.abs(decoded(content, tmp_path) - shown).max() <= 1


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_upper_8_of_12_bits_are_used(order: Order, white_is_zero: bool, tmp_path: Path) -> None:
    values = (SHADES * 16 + 15).ravel()  # two of them in three bytes
    first, second = values[::2], values[1::2]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype("u1").tobytes()
    tiff = Tiff(order, bits=12, photometric=0 if white_is_zero else 1)
    shown = 255 - GREY if white_is_zero else GREY
    assert (decoded(tiff.encode(SHADES.astype("u2"), packed), tmp_path) == shown).all()


@pytest.mark.parametrize("white_is_zero", [False, True])
def test_black_and_white(white_is_zero: bool, tmp_path: Path) -> None:
    bits = SHADES[:, :48] % 3 == 0
    tiff = Tiff(bits=1, photometric=0 if white_is_zero else 1)
    content = tiff.encode(bits.astype("u1"), np.packbits(bits, axis=1).tobytes())
    assert (decoded(content, tmp_path)[..., 0] == np.where(bits ^ white_is_zero, 255, 0)).all()


@pytest.mark.parametrize("container", CONTAINERS, ids=NAMES)
def test_palette(container: Tiff, tmp_path: Path) -> None:
    colours = (320, SHORT, (PALETTE.T * 257).ravel().tolist())
    content = replace(container, photometric=3, more=[colours]).encode(SHADES.astype("u1"))
    assert (decoded(content, tmp_path) == PALETTE[SHADES]).all()


@pytest.mark.parametrize("extra", [PREMULTIPLIED, ALPHA])
def test_transparent_grey_is_shown_over_white(extra: int, tmp_path: Path) -> None:
    alpha = np.where(np.arange(50) < 25, 0, 255)[None, :, None].repeat(40, 0)
    pixels = np.concatenate([np.where(alpha == 0, 0, SHADES[..., None]), alpha], 2).astype("u1")
    content = Tiff(more=[(EXTRA_SAMPLES, SHORT, [extra])]).encode(pixels)
    assert (decoded(content, tmp_path) == np.where(alpha == 0, 255, GREY)).all()


SAVE = "save it with 8 bits per channel, as RGB or grey"
RAW = "a camera's raw file: develop it, and save it as JPEG or PNG"
EIGHT = SHADES.astype("u1")
REFUSED = {
    "float": (Tiff().encode(SHADES.astype("f4")), f"a TIFF of floating-point numbers: {SAVE}"),
    "float of 16 bits": (Tiff().encode(SHADES.astype("f2")), f"a TIFF of floating-point numbers: {SAVE}"),
    "float of 64 bits": (Tiff(">").encode(SHADES.astype("f8")), f"a TIFF of floating-point numbers: {SAVE}"),
    "32 bits": (Tiff().encode(SHADES.astype("u4")), f"a TIFF with 1 channel of 32 bits: {SAVE}"),
    "32 bits, big-endian": (Tiff(">").encode(SHADES.astype("u4")), f"a TIFF with 1 channel of 32 bits: {SAVE}"),
    "signed RGB": (
        Tiff(photometric=2).encode(RGB.astype("i2")),
        f"a TIFF with 3 channels of 16 signed bits: {SAVE}",
    ),
    "five channels": (
        Tiff().encode(np.concatenate([RGB, RGB[..., :2]], 2).astype("u1")),
        f"a TIFF with 5 channels of 8 bits: {SAVE}",
    ),
    "CIE L*a*b*": (Tiff(photometric=8).encode(RGB.astype("u1")), f"a TIFF with colours in CIE L*a*b*: {SAVE}"),
    "planes of grey and alpha": (
        Tiff(separate=True, more=[(EXTRA_SAMPLES, SHORT, [ALPHA])]).encode(RGB[..., :2].astype("u1")),
        f"a TIFF with separate planes of grey and transparency: {SAVE}",
    ),
    "an unknown compression": (
        Tiff(more=[(259, SHORT, [34887])]).encode(EIGHT),
        "a TIFF with the compression number 34887: save it with LZW, or as PNG",
    ),
    "values of a sensor": (Tiff(photometric=32803).encode(EIGHT), RAW),
    "a DNG's preview": (Tiff(more=[(50706, 1, [1, 4, 0, 0])]).encode(EIGHT), RAW),
    "a raw file's preview": (Tiff(more=[(254, 4, [1]), (330, 4, [8])]).encode(EIGHT), RAW),
    "a CR2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(200), RAW),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_layout_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    content, reason = REFUSED[kind]
    with pytest.raises(UnsupportedImageError) as error:
        decoded(content, tmp_path)
    assert str(error.value) == reason


def test_orientation_in_xmp_does_not_turn_a_tiff(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Image.new("RGB", (20, 10)).save(path := tmp_path / "scan.tif", tiffinfo={700: xmp})
    assert shown(path) == (open_rgb(path).size, 1) == ((20, 10), 1)


def test_first_of_several_pages_is_used_and_told(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    pages[0].save(path := tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    assert open_rgb(path).getpixel((0, 0)) == (255, 0, 0)
    assert which_frame(path) == "has several pages: only the first is used"
    pages[0].save(path)
    assert which_frame(path) == ""
