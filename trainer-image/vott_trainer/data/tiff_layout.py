"""How the pixels of a TIFF are meant: signed or inverted grey values, and layouts that can't be decoded.

Pillow opens a TIFF by a table of layouts. It lacks some grey ones, and takes signed values of 8 bits for unsigned, white of 16 bits for
black. Here they are decoded as plain numbers.
"""

from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import COMPRESSION_INFO, OPEN_INFO, TiffImageFile

from vott_trainer.data import tiff
from vott_trainer.data.errors import UnsupportedImageError

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two: BigTIFF
SUBFILE_TYPE, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANES = 254, 258, 259, 262, 277, 284  # tags
SUB_DIRECTORIES, SAMPLE_FORMAT, DNG_VERSION = 330, 339, 50706
PREVIEW = 1  # bit of SUBFILE_TYPE
WHITE_IS_ZERO, BLACK_IS_ZERO, LAB, SENSOR = 0, 1, 8, (32803, 34892)  # values of PHOTOMETRIC
SEPARATE = 2  # value of PLANES
UNSIGNED, SIGNED, FLOATING, UNDEFINED = 1, 2, 3, 4  # values of SAMPLE_FORMAT
USUAL_BITS = {1: (1, 2, 4, 8, 12, 16), 2: (8,), 3: (8, 16), 4: (8, 16)}  # by the number of channels
RAW = "a camera's raw file: develop it, and save it as JPEG or PNG"
SAVE = "save it with 8 bits per channel, as RGB or grey"

TiffImagePlugin.READ_LIBTIFF = True  # Pillow's own reader mixes up planes of 16 bits
for _order, _mode in ((b"II", "I;16"), (b"MM", "I;16B")):
    for _photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        for _format in (UNSIGNED, SIGNED, UNDEFINED):
            OPEN_INFO[_order, _photometric, (_format,), 1, (8,), ()] = "L", "L"
            OPEN_INFO[_order, _photometric, (_format,), 1, (16,), ()] = _mode, _mode
        OPEN_INFO[_order, _photometric, (UNSIGNED,), 1, (12,), ()] = "I;16", "I;12"


def prepare(path: Path, image: TiffImageFile) -> None:
    """Refuse what Pillow would show wrongly. Drop XMP: only a tag of the TIFF itself turns it.

    Raises:
        UnsupportedImageError: a raw file, which begins with a preview; numbers, colours or planes that are not converted.
    """
    image.info.pop("xmp", None)
    tags = image.tag_v2
    more = SUB_DIRECTORIES in tags or getattr(image, "is_animated", False)
    if DNG_VERSION in tags or (tags.get(SUBFILE_TYPE) == PREVIEW and more):
        raise UnsupportedImageError(RAW)
    if image.mode in ("I", "F"):
        raise UnsupportedImageError(why_unreadable(path))
    if tags.get(PHOTOMETRIC) == LAB:
        raise UnsupportedImageError(f"a TIFF with colours in CIE L*a*b*: {SAVE}")
    if tags.get(PLANES) == SEPARATE and image.mode in ("LA", "La", "PA"):
        raise UnsupportedImageError(f"a TIFF with separate planes of grey and transparency: {SAVE}")


def is_plain_grey(image: Image.Image) -> bool:
    """Whether the layout is one of those above, which `grey_with_8_bits` decodes."""
    return isinstance(image, TiffImageFile) and (
        image.tag_v2.get(PHOTOMETRIC, WHITE_IS_ZERO) in (WHITE_IS_ZERO, BLACK_IS_ZERO)
        and image.tag_v2.get(SAMPLES, 1) == 1
        and image.tag_v2.get(BITS, (1,))[0] in (8, 12, 16)
    )


def grey_with_8_bits(image: TiffImageFile) -> Image.Image:
    """Decode grey values so that 0 is black: the upper 8 bits, of signed values counted from the lowest possible one."""
    bits = image.tag_v2[BITS][0]
    is_signed = image.tag_v2.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == SIGNED
    is_inverted = image.tag_v2.get(PHOTOMETRIC, WHITE_IS_ZERO) == WHITE_IS_ZERO
    values = (np.asarray(image).astype(np.uint16) ^ (is_signed << bits - 1)) >> (bits - 8)
    return Image.fromarray((values ^ 0xFF * is_inverted).astype(np.uint8))


def why_unreadable(path: Path) -> str:
    """Name the layout of a TIFF that can't be decoded; empty if it is a usual one."""
    tags = tiff.first_numbers(path, (BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, SAMPLE_FORMAT, DNG_VERSION))
    samples, bits, kind = tags.get(SAMPLES, 1), tags.get(BITS, 1), tags.get(SAMPLE_FORMAT, UNSIGNED)
    if DNG_VERSION in tags or tags.get(PHOTOMETRIC) in SENSOR:
        return RAW
    if (compression := tags.get(COMPRESSION, 1)) not in COMPRESSION_INFO:
        return f"a TIFF with the compression number {compression}: save it with LZW, or as PNG"
    if kind == FLOATING:
        return f"a TIFF of floating-point numbers: {SAVE}"
    if kind != UNSIGNED or bits not in USUAL_BITS.get(samples, ()):
        signed = "signed " if kind == SIGNED else ""
        return f"a TIFF with {samples} channel{'s' * (samples > 1)} of {bits} {signed}bits: {SAVE}"
    return ""
