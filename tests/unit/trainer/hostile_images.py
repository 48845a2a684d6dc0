"""Hostile image files: decompression bombs, files that are slow to decode, and files that are not images."""

import itertools
import random
import struct
import zlib
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from PIL import Image

PLAIN = Image.new("RGB", (64, 48), "red")


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    image.save(file := BytesIO(), image_format, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _compressed_zeros(mebibytes: int) -> bytes:
    """Compress zeros without holding all of them in memory."""
    compressor, mebibyte = zlib.compressobj(1), bytes(1 << 20)
    return b"".join([*(compressor.compress(mebibyte) for _ in range(mebibytes)), compressor.flush()])


ZEROS_1_MIB, ZEROS_500_MIB = _compressed_zeros(1), _compressed_zeros(500)


def png(*chunks: bytes, size: tuple[int, int] = (8, 8), pixels: bytes = ZEROS_1_MIB) -> bytes:
    """A grey PNG whose header states any size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join((header, *chunks, chunk(b"IDAT", pixels), chunk(b"IEND", b"")))


def comment(compressed: bytes) -> bytes:
    """A PNG chunk with a compressed comment."""
    return chunk(b"zTXt", b"Comment\0\0" + compressed)


def colour_profile(compressed: bytes) -> bytes:
    """A PNG chunk with a compressed colour profile."""
    return chunk(b"iCCP", b"colours\0\0" + compressed)


def tiff_directory(entries: Iterable[tuple[int, int, int, int]], next_directory: int = 0) -> bytes:
    """A TIFF's header and first directory; an entry is tag, type, count, and value or offset of the values."""
    rows = [struct.pack("<HHII", *entry) for entry in entries]
    return b"II*\0" + struct.pack("<IH", 8, len(rows)) + b"".join(rows) + struct.pack("<I", next_directory)


def tiff(width: int = 8, height: int = 8, *more: tuple[int, int, int, int], offset: int = 1 << 30) -> bytes:
    """A grey TIFF whose pixels are beyond the end of the file."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    strips = [(273, 4, 1, offset), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height & 0xFFFFFFFF)]
    return tiff_directory(sorted([*tags, *strips, *more]))


def self_referring(tiff: bytes) -> bytes:
    """The little-endian TIFF, with its first directory as the one that follows it."""
    (directory,) = struct.unpack_from("<I", tiff, 4)
    (entries,) = struct.unpack_from("<H", tiff, directory)
    following = directory + 2 + 12 * entries
    return tiff[:following] + struct.pack("<I", directory) + tiff[following + 4 :]


def tiled(side: int, *more: tuple[int, int, int, int]) -> bytes:
    """A TIFF of one pixel in a compressed tile of side x side."""
    tags = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    sides = [*more, *((tag, 4, 1, side) for tag in (322, 323) if tag not in {entry[0] for entry in more})]
    offset = 8 + 2 + 12 * (len(tags) + len(sides) + 2) + 4
    entries = sorted([*tags, *sides, (324, 4, 1, offset), (325, 4, 1, len(ZEROS_500_MIB))], key=lambda entry: entry[0])
    return tiff_directory(entries) + ZEROS_500_MIB


def shared_values(tags: int, size: int) -> bytes:
    """A TIFF directory in which each tag claims all bytes of the file."""
    entries = [(number, 7, size, 8) for number in range(0x9000, 0x9000 + tags)]
    return tiff_directory(entries) + bytes(size)


def gif(screen: int, frame: int) -> bytes:
    """A GIF with one size for its screen and another for its frame."""
    start = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6)
    return start + b"," + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\x02\x02\x4c\x01\x00;"


def webp(side: int) -> bytes:
    """A WebP animation that states a canvas of that size and holds one still image."""
    canvas = b"VP8X" + struct.pack("<IBxxx", 10, 2) + 2 * (side - 1).to_bytes(3, "little")
    content = b"WEBP" + canvas + encoded(PLAIN, "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(content)) + content


def jpeg(side: int) -> bytes:
    """A JPEG whose header states another size."""
    content = encoded(PLAIN, "JPEG")
    offset = content.index(b"\xff\xc0") + 5
    return content[:offset] + struct.pack(">HH", side, side) + content[offset + 4 :]


def jpeg_with_scans(count: int) -> bytes:
    """A progressive JPEG that repeats one scan `count` times."""
    content = encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    offsets = [offset for offset in range(len(content)) if content.startswith(b"\xff\xda", offset)]
    first, second = itertools.islice(offsets, 1, 3)
    return content[:second] + content[first:second] * count + content[second:]


def segment(marker: int, payload: bytes) -> bytes:
    """A JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _with_hidden_scans() -> dict[str, bytes]:
    """JPEGs of 5,000 scans that a naive parser misses but libjpeg decodes, by description."""
    many = jpeg_with_scans(5000)
    start, marker = many[:2], b"\xff\xda"
    second = many.index(marker, many.index(marker) + 1)
    head, tail = many[:second], many[second:]
    thumbnail = segment(0xE1, b"Exif\0\0" + encoded(PLAIN, "JPEG"))
    return {
        "after an end in a comment": start + segment(0xFE, END * 9) + many[2:],
        "after an end in a comment between them": head + segment(0xFE, END) + tail,
        "after a thumbnail": start + thumbnail + many[2:],
        "after a thumbnail between them": head + thumbnail + tail,
        "after an end of tables only": start + END + many,
        "after comments of invalid length": head + tail.replace(marker, b"\xff\xfe\0\0\xff\xfe\0\1" + marker),
        "after a comment that ends like a marker": head + segment(0xFE, b"\xff\xff") + tail,
        "after empty comments": head + tail.replace(marker, segment(0xFE, b"") + marker),
        "after fill bytes": head + tail.replace(marker, b"\xff" * 9 + marker),
        "after escaped bytes": head + tail.replace(marker, b"\xff\0\xff\0" + marker),
        "after restarts": head + tail.replace(marker, b"\xff\xd0\xff\x01" + marker),
        "without an end": many[:-2],
    }


def avif_that_states(width: int, height: int) -> bytes:
    """An AVIF of 4,000 x 3,000 whose header states another size."""
    content = encoded(Image.new("RGB", (4000, 3000), "red"), "AVIF", speed=10)
    offset = content.index(b"ispe") + 8
    return content[:offset] + struct.pack(">II", width, height) + content[offset + 8 :]


def bmp(side: int) -> bytes:
    """A BMP that is only a header."""
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)


END = b"\xff\xd9"
WITHOUT_END = encoded(PLAIN, "JPEG")[:-2]
TOO_MANY_SCANS = "a JPEG with more than 100 scans"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch ran) (w) file closefile\nshowpage\n"
NOT_SUPPORTED = "which is not supported: save it as JPEG, PNG, WebP or AVIF"


def damaged(kind: str) -> str:
    """The reason for an image that can't be decoded."""
    return f"a {kind} that is damaged or truncated: upload it again"


TOO_MANY_PIXELS = "more than 100,000,000 pixels"
INVALID_TILE = "a TIFF with an invalid tile size"
REFUSED = {
    "PNG of 50,000 x 50,000": (png(size=(50_000, 50_000)), TOO_MANY_PIXELS),
    "PNG slightly above the limit": (png(size=(10_001, 10_000)), TOO_MANY_PIXELS),
    "JPEG of 65,500 x 65,500": (jpeg(65_500), TOO_MANY_PIXELS),
    "GIF with a frame larger than its screen": (gif(1, 65_000), TOO_MANY_PIXELS),
    "GIF with a screen larger than its frame": (gif(65_000, 1), TOO_MANY_PIXELS),
    "WebP with a large canvas": (webp(1 << 14), TOO_MANY_PIXELS),
    "TIFF of 60,000 x 60,000": (tiff(60_000, 60_000), TOO_MANY_PIXELS),
    "TIFF of 4,000,000,000 x 1": (tiff(4_000_000_000, 1), TOO_MANY_PIXELS),
    "TIFF of 1 x 1 with a tile of 22,000 x 22,000": (tiled(22_000), TOO_MANY_PIXELS),
    "TIFF of 1 x 1 with a tile of 22,000 x 22,000 that states a second, small size": (
        tiled(22_000, (322, 4, 1, 22_000), (322, 4, 1, 16)),
        INVALID_TILE,
    ),
    "TIFF with a tile whose width has an odd type": (tiled(22_000, (322, 17, 1, 8)), INVALID_TILE),
    "BMP of 60,000 x 60,000": (bmp(60_000), TOO_MANY_PIXELS),
    "JPEG of 5,000 scans": (jpeg_with_scans(5000), TOO_MANY_SCANS),
    **{f"JPEG of 5,000 scans {hidden}": (content, TOO_MANY_SCANS) for hidden, content in _with_hidden_scans().items()},
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
    "TIFF tags that share their values": (shared_values(2000, 1 << 20), damaged("TIFF")),
    "TIFF with its pixels beyond the end": (tiff(), damaged("TIFF")),
    "BMP without pixels": (bmp(9000), damaged("BMP")),
    "PNG with a chunk longer than the file": (
        png()[:33] + struct.pack(">I", 1 << 31) + b"IDAT" + bytes(99),
        damaged("PNG"),
    ),
    "PostScript": (POSTSCRIPT, f"a PostScript file, {NOT_SUPPORTED}"),
    "PDF": (
        b"%PDF-1.7\n1 0 obj << /OpenAction << /S /Launch /F (touch) >> >>",
        f"a PDF document, {NOT_SUPPORTED}",
    ),
    "SVG with entities": (
        b'<!DOCTYPE s [<!ENTITY a "&b;&b;"><!ENTITY b "&a;&a;">]><svg>&a;</svg>',
        f"an SVG drawing, {NOT_SUPPORTED}",
    ),
    "ICO": (encoded(PLAIN, "ICO"), f"an icon file, {NOT_SUPPORTED}"),
    "empty file": (b"", "an empty file: upload the image again"),
}
"""By description: the file and the reason of its finding."""

PAGES = [Image.new("RGB", (64, 48), (shade, 0, 0)) for shade in range(200)]
EXIF_OF_MANY_TAGS = b"Exif\0\0" + shared_values(2000, 20_000)
ACCEPTED = {
    **{
        f"{image_format} of 200 frames": encoded(PAGES[0], image_format, save_all=True, append_images=PAGES[1:])
        for image_format in ("GIF", "PNG", "WEBP", "TIFF", "AVIF")
    },
    "PNG with more pixels than its header states": png(pixels=ZEROS_500_MIB),
    "EXIF tags that share their values": encoded(PLAIN, "JPEG", exif=EXIF_OF_MANY_TAGS),
    "TIFF whose directory refers to itself": self_referring(encoded(PLAIN, "TIFF")),
    "PNG with a comment of 500 MiB": png(comment(ZEROS_500_MIB)),
    "PNG with 200 comments of 1 MiB": png(*[comment(ZEROS_1_MIB)] * 200),
    "PNG with a colour profile of 500 MiB": png(colour_profile(ZEROS_500_MIB)),
    "AVIF whose header states a smaller image": avif_that_states(8, 6),
    "PNG with ten comments of 1 MiB": png(*[comment(ZEROS_1_MIB)] * 10),
    "JPEG of ten scans": jpeg_with_scans(4),
    "JPEG followed by a film": encoded(PLAIN, "JPEG") + random.Random(1).randbytes(9 << 20),
    "JPEG followed by another of 5,000 scans": encoded(PLAIN, "JPEG") + jpeg_with_scans(5000),
    "JPEG of two frames": encoded(PLAIN, "MPO", save_all=True, append_images=[PLAIN]),
    "JPEG with 16 MiB of escaped bytes in its scan": WITHOUT_END + b"\xff\0" * (8 << 20) + END,
    "JPEG with 16 MiB of fill bytes in its scan": WITHOUT_END + (b"\xff" * 4000 + b"\0") * (4 << 10) + END,
    "TIFF of 1 x 1 with a tile just below the limit": tiled(9984),
}
"""By description: images that look suspicious and must be decoded."""
