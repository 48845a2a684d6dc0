"""Image files without the data beside their pixels: text, time, colour profile, thumbnail, animation.

Pillow does not open an image if some of it is damaged, though the pixels are intact and every browser shows them.
"""

import zlib
from collections.abc import Iterator

from PIL import ExifTags, Image

from vott_trainer.data import jpeg

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")  # PNG's chunks; damaged ones are kept
_SHOWN = (b"tRNS", b"eXIf")  # transparency and orientation
_APPLICATION, _COMMENT = range(0xE0, 0xF0), 0xFE  # JPEG's markers
_COLOURS = (
    (0xE0, b"JFIF\0", 14),
    (0xEE, b"Adobe", 12),
)  # marker, start and shortest length of what tells JPEG's colours
_EXIF = b"Exif\0\0"


def without_side_data(content: bytes) -> bytes:
    """Return the same image with only its pixels, transparency, orientation and colours; unchanged if its kind is not known."""
    if content.startswith(_PNG):
        return _PNG + b"".join(_shown_chunks(content))
    if content.startswith(jpeg.START):
        return _jpeg(content)
    if content[4:8] == b"ftyp":  # AVIF, which has its orientation elsewhere too
        head, pixels, rest = content.partition(b"mdat")
        return head.replace(b"Exif", b"skip") + pixels + rest
    return content


def _shown_chunks(content: bytes) -> Iterator[bytes]:
    """Yield chunks of a PNG: length, name, data and CRC. The last one may be incomplete."""
    position = len(_PNG)
    while position < len(content):
        end = position + 12 + int.from_bytes(content[position : position + 4])
        chunk = content[position:end]
        is_intact = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])
        if chunk[4:8] in _PIXELS or (chunk[4:8] in _SHOWN and is_intact):
            yield chunk
        position = end


def _jpeg(content: bytes) -> bytes:
    kept, exif, position = list[bytes](), b"", 2
    for begin, end in _segments(content):
        marker, payload = content[begin + 1], content[begin + 4 : end]
        if payload.startswith(_EXIF):
            exif = exif or payload
        elif not (marker in _APPLICATION or marker == _COMMENT) or _tells_colours(marker, payload):
            kept.append(content[begin:end])
        position = end
    return b"".join([content[:2], _orientation(exif), *kept, content[position:]])


def _segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each segment before the first scan."""
    position = 2
    while found := jpeg.MARKER.search(content, position):
        if content[found.end() - 1] in (jpeg.START_OF_SCAN, jpeg.END_OF_IMAGE):
            return
        position = found.end() + max(2, int.from_bytes(content[found.end() : found.end() + 2]))
        yield found.start(), position


def _tells_colours(marker: int, payload: bytes) -> bool:
    return any(marker == one and payload.startswith(start) and len(payload) >= size for one, start, size in _COLOURS)


def _orientation(exif: bytes) -> bytes:
    """Return a segment with the orientation alone; none if it can't be read."""
    old, new = Image.Exif(), Image.Exif()
    try:
        old.load(exif)
        new[ExifTags.Base.Orientation] = int(old[ExifTags.Base.Orientation])
        payload = new.tobytes()
    except Exception:  # Pillow raises many types on damaged EXIF data
        return b""
    return b"\xff\xe1" + (len(payload) + 2).to_bytes(2) + payload
