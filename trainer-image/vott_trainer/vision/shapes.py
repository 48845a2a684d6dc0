"""Shapes of objects: moved, compared, and rasterized to masks."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vott_trainer.annotations import Box

COMPARED = 200  # samples along the longer side of two shapes

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]  # [N, 2], x and y of a ring


@dataclass(frozen=True)
class Shape:
    """An object's outline as arrays: the union of polygons, each the area inside an odd number of its rings."""

    polygons: tuple[tuple[Points, ...], ...]

    @classmethod
    def of(cls, box: Box) -> Self:
        """Return the outline of an object; of a box alone its corners."""
        right, bottom = box.x + box.width, box.y + box.height
        outline = box.outline or (((box.x, box.y, right, box.y, right, bottom, box.x, bottom),),)
        return cls(tuple(tuple(np.reshape(ring, (-1, 2)) for ring in polygon) for polygon in outline))

    def moved(self, scale: tuple[float, float] = (1, 1), by: tuple[float, float] = (0, 0)) -> Self:
        """Multiply x and y by `scale`, and add `by`."""
        factors, offsets = np.array(scale), np.array(by)
        return type(self)(tuple(tuple(ring * factors + offsets for ring in polygon) for polygon in self.polygons))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        points = np.concatenate([ring for polygon in self.polygons for ring in polygon])
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    def mask(self, height: int, width: int) -> Mask:
        """Return the pixels [height, width] whose centres lie inside; of a shape between the centres those that its bounds touch."""
        mask = np.zeros((height, width), np.bool_)
        for polygon in self.polygons:
            mask |= _inside(polygon, height, width)
        if not mask.any():
            left, top, right, bottom = self.bounds
            mask[
                max(0, math.floor(top)) : max(0, math.ceil(bottom)), max(0, math.floor(left)) : max(0, math.ceil(right))
            ] = True
        return mask


def iou(first: Shape, second: Shape) -> float:
    """Return intersection over union, 0 to 1, of COMPARED samples along the longer side."""
    corners = np.array([first.bounds, second.bounds])
    left, top = corners[:, :2].min(axis=0).tolist()
    right, bottom = corners[:, 2:].max(axis=0).tolist()
    scale = COMPARED / max(right - left, bottom - top)
    size = (max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale)))
    one, other = (shape.moved((scale, scale), (-left * scale, -top * scale)).mask(*size) for shape in (first, second))
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def _inside(polygon: tuple[Points, ...], height: int, width: int) -> Mask:
    """Return where the number of edges to the left of a pixel's centre, in its row, is odd."""
    x1, y1 = np.concatenate(polygon).T
    x2, y2 = np.concatenate([np.roll(ring, -1, axis=0) for ring in polygon]).T
    first, last = (
        np.clip(np.ceil(y - 0.5), 0, height).astype(np.int64) for y in (np.minimum(y1, y2), np.maximum(y1, y2))
    )
    counts = last - first  # rows whose centres each edge crosses
    edges = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edges]
    slopes = (x2[edges] - x1[edges]) / (y2[edges] - y1[edges])
    crossings = x1[edges] + (rows + 0.5 - y1[edges]) * slopes
    columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.int64)
    toggles = np.bincount(rows * (width + 1) + columns, minlength=height * (width + 1)).reshape(height, width + 1)
    inside: Mask = np.cumsum(toggles[:, :width], axis=1) % 2 == 1
    return inside
