"""Tile size of a TIFF (TIFF 6.0, section 15)."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vott_trainer.data.errors import UnsupportedImageError

TILE_SIDES = (322, 323)  # tags: width and length
FORMATS = {3: "H", 4: "I"}  # of the value, by its type: SHORT and LONG are the only ones valid for a tile's side


def tile_size(path: Path) -> tuple[int, int]:
    """Return width and height of the tiles, 1 without tiles.

    Read from the file: Pillow may report other tiles than those that libtiff decodes.

    Raises:
        UnsupportedImageError: the size is ambiguous or invalid.
    """
    with path.open("rb") as file:
        head = file.read(16)
        order, is_big = "<" if head.startswith(b"II") else ">", 43 in head[2:4]  # BigTIFF
        (start,) = struct.unpack_from(order + ("Q" if is_big else "I"), head, 8 if is_big else 4)
        file.seek(start)
        count, entry = (struct.Struct(order + form) for form in (("Q", "HHQ8s") if is_big else ("H", "HHI4s")))
        rows = file.read(min(0xFFFF, *count.unpack(file.read(count.size))) * entry.size)
    entries = list(entry.iter_unpack(rows[: len(rows) // entry.size * entry.size]))
    width, height = (_side(order, [rest for tag, *rest in entries if tag == side]) for side in TILE_SIDES)
    return width, height


def _side(order: str, entries: Sequence[Sequence[Any]]) -> int:
    """Return the value of a tag from its entries of type, count and value, 1 without any."""
    if not entries:
        return 1
    if len(entries) > 1 or entries[0][0] not in FORMATS or entries[0][1] != 1:
        raise UnsupportedImageError("a TIFF with an invalid tile size")
    side: int = struct.unpack_from(order + FORMATS[entries[0][0]], entries[0][2])[0]
    return max(1, side)
