"""Hostile images: small files that are large or slow to decode, or no images at all."""

import itertools
import random
import struct
import zlib
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from PIL import Image

PLAIN = Image.new("RGB", (64, 48), "red")


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """An image as a file."""
    image.save(file := BytesIO(), kind, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _compressed_zeros(megabytes: int) -> bytes:
    """Compress that many megabytes of zeros, without holding them all."""
    packer, some = zlib.compressobj(1), bytes(1 << 20)
    return b"".join([*(packer.compress(some) for _ in range(megabytes)), packer.flush()])


FEW, MANY = _compressed_zeros(1), _compressed_zeros(500)


def png(*chunks: bytes, size: tuple[int, int] = (8, 8), pixels: bytes = FEW) -> bytes:
    """A grey PNG with any size in its header."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join((header, *chunks, chunk(b"IDAT", pixels), chunk(b"IEND", b"")))


def text(packed: bytes) -> bytes:
    """A compressed comment."""
    return chunk(b"zTXt", b"Comment\0\0" + packed)


def profile(packed: bytes) -> bytes:
    """A compressed colour profile."""
    return chunk(b"iCCP", b"colours\0\0" + packed)


def tiff_directory(entries: Iterable[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """A TIFF's header and first directory: entries of tag, type, count and value (or the offset of the values)."""
    rows = [struct.pack("<HHII", *entry) for entry in entries]
    return b"II*\0" + struct.pack("<IH", 8, len(rows)) + b"".join(rows) + struct.pack("<I", following)


def tiff(width: int = 8, height: int = 8, *more: tuple[int, int, int, int], offset: int = 1 << 30) -> bytes:
    """A grey TIFF with its pixels beyond the end of the file."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    strips = [(273, 4, 1, offset), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height & 0xFFFFFFFF)]
    return tiff_directory(sorted([*tags, *strips, *more]))


def tiled(side: int, *more: tuple[int, int, int, int]) -> bytes:
    """A TIFF of one pixel, in a compressed tile of side x side."""
    tags = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    sides = [*more, *((tag, 4, 1, side) for tag in (322, 323) if tag not in {entry[0] for entry in more})]
    offset = 8 + 2 + 12 * (len(tags) + len(sides) + 2) + 4
    entries = sorted([*tags, *sides, (324, 4, 1, offset), (325, 4, 1, len(MANY))], key=lambda entry: entry[0])
    return tiff_directory(entries) + MANY


def shared_values(tags: int, size: int) -> bytes:
    """A TIFF's directory in which each tag claims all bytes of the file."""
    entries = [(number, 7, size, 8) for number in range(0x9000, 0x9000 + tags)]
    return tiff_directory(entries) + bytes(size)


def gif(screen: int, frame: int) -> bytes:
    """A GIF with different sizes of its screen and its frame."""
    start = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6)
    return start + b"," + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\x02\x02\x4c\x01\x00;"


def webp(side: int) -> bytes:
    """An animation's header with a canvas of that size, and one still image."""
    canvas = b"VP8X" + struct.pack("<IBxxx", 10, 2) + 2 * (side - 1).to_bytes(3, "little")
    content = b"WEBP" + canvas + saved(PLAIN, "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(content)) + content


def jpeg(side: int) -> bytes:
    """A JPEG with another size in its header."""
    content = saved(PLAIN, "JPEG")
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", side, side) + content[place + 4 :]


def scans(count: int) -> bytes:
    """A progressive JPEG that repeats a scan."""
    content = saved(Image.new("L", (64, 64)), "JPEG", progressive=True)
    places = [place for place in range(len(content)) if content.startswith(b"\xff\xda", place)]
    first, second = itertools.islice(places, 1, 3)
    return content[:second] + content[first:second] * count + content[second:]


def segment(marker: int, payload: bytes) -> bytes:
    """A JPEG segment with a length."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _hidden() -> dict[str, bytes]:
    """JPEGs of 5,000 scans, hidden from a naive parser but not from libjpeg."""
    many = scans(5000)
    begin, mark = many[:2], b"\xff\xda"
    second = many.index(mark, many.index(mark) + 1)
    head, tail = many[:second], many[second:]
    thumbnail = segment(0xE1, b"Exif\0\0" + saved(PLAIN, "JPEG"))
    return {
        "after an end in a comment": begin + segment(0xFE, END * 9) + many[2:],
        "after an end in a comment between them": head + segment(0xFE, END) + tail,
        "after a thumbnail": begin + thumbnail + many[2:],
        "after a thumbnail between them": head + thumbnail + tail,
        "after an end of tables alone": begin + END + many,
        "after comments of lengths that can't be": head + tail.replace(mark, b"\xff\xfe\0\0\xff\xfe\0\1" + mark),
        "after a comment that ends like a marker": head + segment(0xFE, b"\xff\xff") + tail,
        "after fill bytes": head + tail.replace(mark, b"\xff" * 9 + mark),
        "after escaped bytes": head + tail.replace(mark, b"\xff\0\xff\0" + mark),
        "after restarts": head + tail.replace(mark, b"\xff\xd0\xff\x01" + mark),
        "without an end": many[:-2],
    }


def bmp(side: int) -> bytes:
    """A BMP's header alone."""
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)


END = b"\xff\xd9"
WITHOUT_END = saved(PLAIN, "JPEG")[:-2]
SCANS = "a JPEG with more than 100 scans"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch ran) (w) file closefile\nshowpage\n"
NONE = "not an image, or a truncated one"
LARGE = "more than 100,000,000 pixels"
TILE = "a TIFF with an invalid tile size"
REFUSED = {
    "PNG of 50,000 x 50,000": (png(size=(50_000, 50_000)), LARGE),
    "PNG that is a little too large": (png(size=(10_001, 10_000)), LARGE),
    "JPEG of 65,500 x 65,500": (jpeg(65_500), LARGE),
    "GIF with a frame larger than its screen": (gif(1, 65_000), LARGE),
    "GIF with a larger screen": (gif(65_000, 1), LARGE),
    "WebP with a large canvas": (webp(1 << 14), LARGE),
    "TIFF of 60,000 x 60,000": (tiff(60_000, 60_000), LARGE),
    "TIFF of 4,000,000,000 x 1": (tiff(4_000_000_000, 1), LARGE),
    "TIFF of 1 x 1 with a tile of 22,000 x 22,000": (tiled(22_000), LARGE),
    "TIFF of 1 x 1 with a tile of 22,000 x 22,000 with a second, small size": (
        tiled(22_000, (322, 4, 1, 22_000), (322, 4, 1, 16)),
        TILE,
    ),
    "TIFF with a tile whose width has an odd type": (tiled(22_000, (322, 17, 1, 8)), TILE),
    "BMP of 60,000 x 60,000": (bmp(60_000), LARGE),
    "JPEG of 5,000 scans": (scans(5000), SCANS),
    **{f"JPEG of 5,000 scans {where}": (content, SCANS) for where, content in _hidden().items()},
    "JPEG of 4,000,000 comments": (
        WITHOUT_END + segment(0xFE, b"") * 4_000_000 + END,
        "a JPEG with more than 10,000 segments",
    ),
    "JPEG of 4,000,000 tables": (
        b"\xff\xd8" + b"\xff\xd9\xff\xd8" * 4_000_000,
        "a JPEG with more than 10,000 segments",
    ),
    "JPEG of 16 MiB of fill bytes": (
        WITHOUT_END + b"\xff" * (16 << 20) + END,
        "a JPEG with more than 4,096 fill bytes",
    ),
    "comment of 500 MiB": (png(text(MANY)), NONE),
    "200 comments of 1 MiB": (png(*[text(FEW)] * 200), NONE),
    "colour profile of 500 MiB": (png(profile(MANY)), NONE),
    "tags that share their values": (shared_values(2000, 1 << 20), NONE),
    "pixels beyond the end": (tiff(), NONE),
    "BMP without pixels": (bmp(9000), NONE),
    "chunk that is longer than the file": (png()[:33] + struct.pack(">I", 1 << 31) + b"IDAT" + bytes(99), NONE),
    "PostScript": (POSTSCRIPT, NONE),
    "PDF": (b"%PDF-1.7\n1 0 obj << /OpenAction << /S /Launch /F (touch) >> >>", NONE),
    "SVG with entities": (b'<!DOCTYPE s [<!ENTITY a "&b;&b;"><!ENTITY b "&a;&a;">]><svg>&a;</svg>', NONE),
    "icon": (saved(PLAIN, "ICO"), NONE),
    "nothing at all": (b"", NONE),
}
"""Content and the reason of its finding, by description."""

PAGES = [Image.new("RGB", (64, 48), (shade, 0, 0)) for shade in range(200)]
EXIF_OF_MANY_TAGS = b"Exif\0\0" + shared_values(2000, 20_000)
ACCEPTED = {
    **{f"{kind} of 200 frames": saved(PAGES[0], kind, save_all=True, append_images=PAGES[1:]) for kind in ("GIF", "PNG", "WEBP", "TIFF")},
    "PNG with more pixels than in its header": png(pixels=MANY),
    "EXIF tags that share their values": saved(PLAIN, "JPEG", exif=EXIF_OF_MANY_TAGS),
    "TIFF whose directory follows itself": saved(PLAIN, "TIFF").replace(bytes(4), struct.pack("<I", 8), 0),
    "ten comments of 1 MiB": png(*[text(FEW)] * 10),
    "JPEG of ten scans": scans(4),
    "JPEG with a film after it": saved(PLAIN, "JPEG") + random.Random(1).randbytes(9 << 20),
    "JPEG with another one of 5,000 scans after it": saved(PLAIN, "JPEG") + scans(5000),
    "JPEG of two frames": saved(PLAIN, "MPO", save_all=True, append_images=[PLAIN]),
    "JPEG with 16 MiB of escaped bytes in its scan": WITHOUT_END + b"\xff\0" * (8 << 20) + END,
    "JPEG with 16 MiB of fill bytes in its scan": WITHOUT_END + (b"\xff" * 4000 + b"\0") * (4 << 10) + END,
    "TIFF of 1 x 1 with a tile just below the limit": tiled(9984),
}  # fmt: skip
"""Images that are decoded as any other, by description."""
