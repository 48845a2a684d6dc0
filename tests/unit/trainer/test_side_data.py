"""Damaged data beside the pixels costs no good image; truncated pixels do."""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainer.hostile_images import chunk, encoded, segment
from vott_trainer.data.decoding import open_rgb
from vott_trainer.data.errors import UnsupportedImageError
from vott_trainer.data.exif_rotation import size_of
from vott_trainer.data.image_signature import signature
from vott_trainer.vision.resize import load_resized

SIDEWAYS = 6  # EXIF: rotate clockwise to show it
RAMP = np.linspace(0, 255, 64 * 48 * 3).reshape(48, 64, 3).astype("u1")
PHOTO = Image.fromarray(RAMP)
ASCII, SHORT, LONG, RATIONAL, SIGNED_RATIONAL, BYTE, DOUBLE = 2, 3, 4, 5, 10, 1, 12
WIDTH, DESCRIPTION, X_RESOLUTION, UNIT, DATE, EXIF_DIRECTORY = 0x0100, 0x010E, 0x011A, 0x0128, 0x0132, 0x8769
Tag = tuple[int, int, int, bytes]  # tag, type, count, value

ODD_TAGS: dict[str, Tag] = {
    "negative resolution": (X_RESOLUTION, SIGNED_RATIONAL, 1, struct.pack(">ii", -72, 1)),
    "negative unsigned resolution": (X_RESOLUTION, RATIONAL, 1, struct.pack(">iI", -72, 0)),
    "resolution as text": (X_RESOLUTION, ASCII, 4, b"abc\0"),
    "resolution without text": (X_RESOLUTION, ASCII, 1, b"\0"),
    "width as text": (WIDTH, ASCII, 5, b"4000\0"),
    "width as a fraction": (WIDTH, RATIONAL, 1, struct.pack(">II", 4000, 1)),
    "width as a byte": (WIDTH, BYTE, 1, b"\xff"),
    "unit above 65535": (UNIT, LONG, 1, struct.pack(">I", 70000)),
    "date as a number": (DATE, DOUBLE, 1, struct.pack(">d", 1.5)),
    "description as numbers": (DESCRIPTION, SHORT, 2, struct.pack(">HH", 1, 2)),
    "directory beyond the end": (EXIF_DIRECTORY, LONG, 1, struct.pack(">I", 1 << 30)),
    "value beyond the end": (DESCRIPTION, ASCII, 1 << 20, b""),
    "unknown type": (DESCRIPTION, 99, 1, b""),
}


def exif(*tags: Tag) -> bytes:
    """EXIF data with these tags and the orientation."""
    entries = sorted([*tags, (0x0112, SHORT, 1, struct.pack(">H", SIDEWAYS))])
    start, rows, rest = 8 + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, count, value in entries:
        inside = struct.pack(">I", start + len(rest)) if len(value) > 4 else value.ljust(4, b"\0")
        rest += value if len(value) > 4 else b""
        rows += struct.pack(">HHI", tag, kind, count) + inside
    return b"MM\0*" + struct.pack(">IH", 8, len(entries)) + rows + bytes(4) + rest


def jpeg(*segments: bytes) -> bytes:
    """The photo with segments after its first one."""
    content = encoded(PHOTO, "JPEG", quality=95)
    end = 4 + int.from_bytes(content[4:6])
    return content[:end] + b"".join(segments) + content[end:]


def png(*before: bytes, after: Sequence[bytes] = ()) -> bytes:
    """The photo with chunks before and after its pixels."""
    content = encoded(PHOTO, "PNG")
    return content[:33] + b"".join(before) + content[33:-12] + b"".join(after) + content[-12:]


def with_wrong_crc(chunk: bytes) -> bytes:
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


def rotated(shown: Image.Image) -> bool:
    """Whether the image is shown as the orientation says."""
    return shown.size == (48, 64) and np.abs(np.asarray(shown).astype(int) - np.rot90(RAMP, -1)).max() < 20


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow names the tags it skips
@pytest.mark.parametrize("kind", ODD_TAGS)
def test_photo_with_an_odd_tag_is_turned_and_used(kind: str, tmp_path: Path) -> None:
    (path := tmp_path / "photo.jpg").write_bytes(jpeg(segment(0xE1, b"Exif\0\0" + exif(ODD_TAGS[kind]))))
    assert rotated(open_rgb(path))
    assert size_of(path) == (48, 64)
    assert load_resized(path, 8)[0].size == (6, 8)  # decoded at a part of its size
    assert signature(path).hash.any()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ODD_TAGS)
def test_png_with_an_odd_tag_is_turned_and_used(kind: str, tmp_path: Path) -> None:
    (path := tmp_path / "photo.png").write_bytes(png(chunk(b"eXIf", exif(ODD_TAGS[kind]))))
    assert rotated(open_rgb(path))
    assert size_of(path) == (48, 64)


TEXT, PROFILE = b"Comment\0hello", b"colours\0\0" + zlib.compress(bytes(100))
CHUNKS = {
    "text of a wrong CRC": with_wrong_crc(chunk(b"tEXt", TEXT)),
    "colour profile of a wrong CRC": with_wrong_crc(chunk(b"iCCP", PROFILE)),
    "colour profile that can not be unpacked": chunk(b"iCCP", b"colours\0\0abc"),
    "colour profile of an unknown compression": chunk(b"iCCP", b"colours\0\7abc"),
    "colour profile of 3 MiB": chunk(b"iCCP", b"colours\0\0" + zlib.compress(bytes(3 << 20))),
    "empty colour profile": chunk(b"iCCP", b""),
    "truncated resolution": chunk(b"pHYs", b"abc"),
    "truncated primary colours": chunk(b"cHRM", b"abc"),
    "truncated gamma": chunk(b"gAMA", b"abc"),
    "truncated animation": chunk(b"acTL", b"ab"),
    "animation of a wrong order": chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", b"ab"),
    "EXIF data that is none": chunk(b"eXIf", b"not EXIF data"),
    "EXIF data as text that is none": chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 3\nzz"),
    "orientation as text that is none": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0\xff\xfe"),
    "text of 3 MiB": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3 << 20))),
}


@pytest.mark.parametrize("kind", CHUNKS)
def test_png_with_a_damaged_side_chunk_is_used(kind: str, tmp_path: Path) -> None:
    (path := tmp_path / "image.png").write_bytes(png(CHUNKS[kind]))
    assert (np.asarray(open_rgb(path)) == RAMP).all()
    assert size_of(path) == PHOTO.size


def test_orientation_and_transparency_stay_when_a_side_chunk_is_damaged(tmp_path: Path) -> None:
    bad = with_wrong_crc(chunk(b"tEXt", TEXT))
    grey = encoded(Image.new("L", (4, 2), 7), "PNG", transparency=7)
    (path := tmp_path / "image.png").write_bytes(grey[:33] + bad + chunk(b"eXIf", exif()) + grey[33:])
    assert open_rgb(path).size == size_of(path) == (2, 4)
    assert open_rgb(path).getpixel((0, 0)) == (255, 255, 255)


MULTI_PICTURE = b"MPF\0MM\0*" + struct.pack(">IH", 8, 2)
FOUND = struct.pack(">HHII", 0xB001, LONG, 1, 2)  # two pictures
SEGMENTS = {
    "a colour profile that is none": segment(0xE2, b"ICC_PROFILE\0\1\1abc"),
    "a colour profile without its other part": segment(0xE2, b"ICC_PROFILE\0\1\2abc"),
    "a colour profile without a number": segment(0xE2, b"ICC_PROFILE\0"),
    "a truncated table of pictures": segment(0xE2, MULTI_PICTURE + FOUND[:5]),
    "a table of pictures without their places": segment(0xE2, MULTI_PICTURE + FOUND),
    "a table of pictures that is none": segment(0xE2, b"MPF\0abc"),
    "a table of pictures that are elsewhere": segment(
        0xE2,
        MULTI_PICTURE
        + FOUND
        + struct.pack(">HHII", 0xB002, 7, 32, 38)
        + bytes(4)
        + struct.pack(">IIIHH", 0, 9, 1 << 30, 0, 0) * 2,
    ),
    "a truncated block of Photoshop": segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4"),
    "a truncated thumbnail": segment(0xE1, b"Exif\0\0" + exif()[:-4] + encoded(PHOTO, "JPEG")[:99]),
    "EXIF data that is none": segment(0xE1, b"Exif\0\0not EXIF data"),
    "no EXIF data": segment(0xE1, b"Exif\0\0"),
    "XMP that is none": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0\xff\xfe"),
    "an empty JFIF segment": segment(0xE0, b"JFIF\0"),
    "an empty Adobe segment": segment(0xEE, b"Adobe"),
    "a comment": segment(0xFE, b"\xff\xd9"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", SEGMENTS)
def test_jpeg_with_a_damaged_side_segment_is_used(kind: str, tmp_path: Path) -> None:
    content = jpeg(SEGMENTS[kind])
    (path := tmp_path / "image.jpg").write_bytes(content)
    shown = open_rgb(path)
    assert shown.size == size_of(path)
    expected = np.rot90(RAMP, -1) if shown.size == (48, 64) else RAMP
    assert np.abs(np.asarray(shown).astype(int) - expected).max() < 20
    assert load_resized(path, 8)[0].size in ((8, 6), (6, 8))
    assert signature(path).hash.any()


def test_orientation_stays_when_a_side_segment_is_damaged(tmp_path: Path) -> None:
    photo = jpeg(segment(0xE1, b"Exif\0\0" + exif()), SEGMENTS["a truncated block of Photoshop"])
    (path := tmp_path / "photo.jpg").write_bytes(photo)
    assert rotated(open_rgb(path))


@pytest.mark.parametrize(
    "rest", [b"\0" * 99, b"a film" * 999, encoded(PHOTO, "JPEG")[:300]], ids=["zeros", "film", "part"]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_bytes_after_the_image_do_no_harm(kind: str, rest: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "image").write_bytes(encoded(PHOTO, kind) + rest)
    assert open_rgb(path).size == size_of(path) == PHOTO.size


def test_photo_of_a_phone_with_a_second_frame_is_its_first(tmp_path: Path) -> None:
    other = Image.new("RGB", (30, 20))
    content = encoded(PHOTO, "MPO", save_all=True, append_images=[other], exif=Image.Exif())
    (path := tmp_path / "photo.jpg").write_bytes(content)
    assert open_rgb(path).size == size_of(path) == PHOTO.size


def test_avif_with_damaged_exif_data_is_used(tmp_path: Path) -> None:
    good = Image.Exif()
    good[DESCRIPTION] = "a photo"
    content = encoded(PHOTO, "AVIF", exif=good, quality=95)
    (path := tmp_path / "photo.avif").write_bytes(content.replace(b"MM\0*", b"NONE").replace(b"II*\0", b"NONE"))
    assert np.abs(np.asarray(open_rgb(path)).astype(int) - RAMP).max() < 30


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "AVIF"])
def test_truncated_image_is_refused(kind: str, part: float, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype("u1"))
    whole = encoded(noise, kind)
    (path := tmp_path / "image").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(UnsupportedImageError, match=f"(?i)an? {kind} that is damaged or truncated: upload"):
        open_rgb(path)


def test_png_without_its_last_rows_is_refused_though_a_side_chunk_is_damaged(tmp_path: Path) -> None:
    bad = with_wrong_crc(chunk(b"tEXt", TEXT))
    (path := tmp_path / "image.png").write_bytes(png(bad)[:-60])
    with pytest.raises(UnsupportedImageError, match="a PNG that is damaged or truncated"):
        open_rgb(path)


def test_jpeg_with_12_bits_is_refused_by_name(tmp_path: Path) -> None:
    content = encoded(PHOTO, "JPEG")
    place = content.index(b"\xff\xc0") + 4
    (path := tmp_path / "image.jpg").write_bytes(content[:place] + b"\x0c" + content[place + 1 :])
    with pytest.raises(UnsupportedImageError, match="a JPEG with 12 bits per channel: save it with 8"):
        open_rgb(path)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_transparent_grey_of_any_depth_is_white(bits: int, tmp_path: Path) -> None:
    values = np.arange(64 * 8).reshape(8, 64) % (1 << min(bits, 8))
    if bits == 16:
        values = values * 257
    packed = io.BytesIO()
    for row in values:
        line = np.packbits((row[:, None] >> np.arange(bits)[::-1] & 1).astype("u1").ravel()).tobytes()
        packed.write(b"\0" + line)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 8, bits, 0, 0, 0, 0))
    clear = chunk(b"tRNS", struct.pack(">H", int(values[0, 1])))
    pixels = chunk(b"IDAT", zlib.compress(packed.getvalue()))
    content = b"\x89PNG\r\n\x1a\n" + header + clear + pixels + chunk(b"IEND", b"")
    (path := tmp_path / "image.png").write_bytes(content)
    grey = values * 255 // ((1 << bits) - 1) if bits < 16 else values >> 8
    assert (np.asarray(open_rgb(path))[..., 0] == np.where(values == values[0, 1], 255, grey)).all()
