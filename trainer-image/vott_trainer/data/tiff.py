"""Numbers in the first directory of a TIFF (TIFF 6.0, section 2): tile size (section 15), layout of the pixels.

Read from the file: Pillow may report other tiles than those that libtiff decodes, and reports nothing of a layout that it can't decode.
"""

import struct
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from vott_trainer.data.errors import UnsupportedImageError

TILE_SIDES = (322, 323)  # tags: width and length
FORMATS = {3: "H", 4: "I"}  # of the value, by its type: SHORT and LONG are the only ones valid for a tile's side
BYTE = {1: "B"}


def tile_size(path: Path) -> tuple[int, int]:
    """Return width and height of the tiles, 1 without tiles.

    Raises:
        UnsupportedImageError: the size is ambiguous or invalid.
    """
    with path.open("rb") as file:
        order, entries = _directory(file)
    width, height = (_side(order, [rest for tag, *rest in entries if tag == side]) for side in TILE_SIDES)
    return width, height


def first_numbers(path: Path, tags: Collection[int]) -> dict[int, int]:
    """Return the first of each tag's numbers, of those that the file has."""
    with path.open("rb") as file:
        order, entries = _directory(file)
        wanted = [entry for entry in entries if entry[0] in tags and entry[1] in FORMATS | BYTE]
        return {tag: _first(file, order, *rest) for tag, *rest in wanted}


def _directory(file: BinaryIO) -> tuple[str, list[Sequence[Any]]]:
    """Return the byte order, and the entries: tag, type, count, and the bytes of the value or of its offset."""
    head = file.read(16)
    order, is_big = "<" if head.startswith(b"II") else ">", 43 in head[2:4]  # BigTIFF
    (start,) = struct.unpack_from(order + ("Q" if is_big else "I"), head, 8 if is_big else 4)
    file.seek(start)
    count, entry = (struct.Struct(order + form) for form in (("Q", "HHQ8s") if is_big else ("H", "HHI4s")))
    rows = file.read(min(0xFFFF, *count.unpack(file.read(count.size))) * entry.size)
    return order, list(entry.iter_unpack(rows[: len(rows) // entry.size * entry.size]))


def _first(file: BinaryIO, order: str, kind: int, count: int, value: bytes) -> int:
    form = struct.Struct(order + (FORMATS | BYTE)[kind])
    if count * form.size > len(value):
        file.seek(*struct.unpack(order + ("Q" if len(value) == 8 else "I"), value))
        value = file.read(form.size)
    return int(form.unpack_from(value)[0])


def _side(order: str, entries: Sequence[Sequence[Any]]) -> int:
    """Return the value of a tag from its entries of type, count and value, 1 without any."""
    if not entries:
        return 1
    if len(entries) > 1 or entries[0][0] not in FORMATS or entries[0][1] != 1:
        raise UnsupportedImageError("a TIFF with an invalid tile size")
    side: int = struct.unpack_from(order + FORMATS[entries[0][0]], entries[0][2])[0]
    return max(1, side)
