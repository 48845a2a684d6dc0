"""Outlines to masks, and how much they overlap: a pixel belongs to an object if its centre lies inside."""

import numpy as np
from numpy.typing import NDArray

from vott_trainer.annotations import outlines
from vott_trainer.annotations.model import Box, Outline, Polygon, Ring

COMPARED = 200  # samples along the longer side of two objects

Mask = NDArray[np.bool_]


def outline_of(box: Box) -> Outline:
    """Return an object's outline; of a box alone its corners."""
    if box.outline:
        return box.outline
    right, bottom = box.x + box.width, box.y + box.height
    return (((box.x, box.y, right, box.y, right, bottom, box.x, bottom),),)


def iou(first: Box, second: Box) -> float:
    """Return intersection over union of two objects' areas, 0 to 1."""
    left, top, right, bottom = (
        pick(one, other)
        for pick, one, other in zip((min, min, max, max), _corners(first), _corners(second), strict=True)
    )
    scale = COMPARED / max(right - left, bottom - top)
    size = (max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale)))
    one, other = (rasterized(_moved(outline_of(box), left, top, scale), size) for box in (first, second))
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def _corners(box: Box) -> tuple[float, float, float, float]:
    x, y, width, height = outlines.bounding_box(outline_of(box))
    return x, y, x + width, y + height


def _moved(outline: Outline, left: float, top: float, scale: float) -> Outline:
    def moved(ring: Ring) -> Ring:
        points = np.reshape(ring, (-1, 2))
        return tuple(((points - (left, top)) * scale).ravel().tolist())

    return tuple(tuple(map(moved, polygon)) for polygon in outline)


def rasterized(outline: Outline, size: tuple[int, int]) -> Mask:
    """Return the mask [height, width] of an outline in its pixels; the union of the polygons."""
    mask = np.zeros(size, np.bool_)
    for polygon in outline:
        mask |= _inside(polygon, size)
    return mask


def _inside(polygon: Polygon, size: tuple[int, int]) -> Mask:
    """Return where the number of edges to the left of a pixel's centre is odd, in its row."""
    height, width = size
    rings = [np.array(ring, np.float64).reshape(-1, 2) for ring in polygon]
    x1, y1 = np.concatenate(rings).T
    x2, y2 = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings]).T
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
