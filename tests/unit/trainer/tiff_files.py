"""TIFF files of any layout, written from arrays (TIFF 6.0)."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FORMATS = {1: "B", 3: "H", 4: "I"}  # of a tag's values, by their type
SHORT, LONG = 3, 4
DEFLATE, NONE = 8, 1
Order = Literal["<", ">"]
Pixels = NDArray[Any]
Entry = tuple[int, int, Sequence[int]]  # tag, type, values


@dataclass(frozen=True)
class Tiff:
    """The layout of a file.

    Attributes:
        order: of bytes, `<` or `>`.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr, 8 CIE L*a*b*.
        separate: whether each channel has a plane of its own.
        tile: side of the tiles; 0: one strip.
        bits: of a channel; 0: those of the array.
        sample_format: 0: that of the array.
        more: entries of other tags.
    """

    order: Order = "<"
    photometric: int = 1
    separate: bool = False
    tile: int = 0
    deflate: bool = False
    bits: int = 0
    sample_format: int = 0
    more: Sequence[Entry] = field(default=())

    def encode(self, pixels: Pixels, packed: bytes = b"") -> bytes:
        """Return the file of an array [height, width] or [height, width, channels]; `packed` replaces its bytes."""
        pixels = np.atleast_3d(pixels)
        parts = [packed] if packed else list(self._parts(pixels.astype(pixels.dtype.newbyteorder(self.order))))
        parts = [zlib.compress(part) for part in parts] if self.deflate else parts
        return self._file(self._entries(pixels), parts)

    def _parts(self, pixels: Pixels) -> Iterator[bytes]:
        for plane in np.split(pixels, pixels.shape[2], axis=2) if self.separate else [pixels]:
            side = self.tile
            if not side:
                yield plane.tobytes()
                continue
            height, width, _ = plane.shape
            padded = np.pad(plane, ((0, -height % side), (0, -width % side), (0, 0)))
            for top in range(0, height, side):
                for left in range(0, width, side):
                    yield padded[top : top + side, left : left + side].tobytes()

    def _entries(self, pixels: Pixels) -> list[Entry]:
        height, width, channels = pixels.shape
        bits = self.bits or pixels.dtype.itemsize * 8
        sample_format = self.sample_format or {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
        parts: list[Entry] = (
            [(322, LONG, [self.tile]), (323, LONG, [self.tile])] if self.tile else [(278, LONG, [height])]
        )
        return [
            (256, LONG, [width]),
            (257, LONG, [height]),
            (258, SHORT, [bits] * channels),
            (259, SHORT, [DEFLATE if self.deflate else NONE]),
            (262, SHORT, [self.photometric]),
            (277, SHORT, [channels]),
            (284, SHORT, [2 if self.separate else 1]),
            (339, SHORT, [sample_format] * channels),
            *parts,
            *self.more,
        ]

    def _file(self, entries: list[Entry], parts: list[bytes]) -> bytes:
        """Lay out header, directory, values that do not fit into it, and pixels."""
        offsets, sizes = (324, 325) if self.tile else (273, 279)
        names = {tag for tag, *_ in self.more}
        entries = [entry for entry in entries if entry[0] not in names or entry in self.more]
        entries = sorted([*entries, (offsets, LONG, [0] * len(parts)), (sizes, LONG, [len(part) for part in parts])])
        start = 8 + 2 + 12 * len(entries) + 4
        values = {tag: self._pack(kind, numbers) for tag, kind, numbers in entries}
        outside = sum(len(value) for value in values.values() if len(value) > 4)
        places = np.cumsum([start + outside, *map(len, parts)])[:-1]
        values[offsets] = self._pack(LONG, places.tolist())
        rows, rest = b"", b""
        for tag, kind, numbers in entries:
            value = values[tag]
            if len(value) > 4:
                value, rest = struct.pack(self.order + "I", start + len(rest)), rest + value
            rows += struct.pack(self.order + "HHI", tag, kind, len(numbers)) + value.ljust(4, b"\0")
        header = (b"II*\0" if self.order == "<" else b"MM\0*") + struct.pack(self.order + "IH", 8, len(entries))
        return header + rows + bytes(4) + rest + b"".join(parts)

    def _pack(self, kind: int, numbers: Sequence[int]) -> bytes:
        packed = struct.pack(f"{self.order}{len(numbers)}{FORMATS[kind]}", *numbers)
        return packed + bytes(len(packed) % 2)
