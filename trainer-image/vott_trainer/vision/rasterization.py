"""Outlines to masks: a pixel belongs to an object if its centre lies inside."""

import numpy as np
from numpy.typing import NDArray

from vott_trainer.annotations.model import Outline, Polygon

Mask = NDArray[np.bool_]


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
