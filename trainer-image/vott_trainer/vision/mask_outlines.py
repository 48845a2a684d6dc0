"""Masks that a network predicts, to outlines and to COCO's run lengths."""

from typing import Any

import numpy as np
from contourpy import contour_generator
from faster_coco_eval.core import mask as coco_masks
from matplotlib.path import Path
from numpy.typing import NDArray

from vott_trainer.annotations import Outline

SIMPLIFIED = 0.5  # pixels of a mask that its outline may deviate by
MIN_POINTS = 3  # of a ring

RunLengths = dict[str, Any]
"""COCO's mask: `size` (height and width), and `counts` in its text form."""


def run_lengths(masks: NDArray[np.bool_]) -> list[RunLengths]:
    """Encode masks [N, H, W]."""
    if not len(masks):
        return []
    encoded: list[RunLengths] = coco_masks.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
    return encoded


def outline_of(mask: RunLengths, scale: tuple[float, float] = (1, 1)) -> Outline:
    """Trace a mask, with its holes; empty if it has no area.

    Args:
        scale: pixels of the mask for each pixel of the outline, across and down.
    """
    x, y, width, height = (int(value) for value in coco_masks.toBbox(mask))
    inside = coco_masks.decode(mask)[y : y + height, x : x + width]
    if not inside.any():
        return ()
    lines = contour_generator(z=np.pad(inside, 1)).lines(0.5)  # coordinate 1 is the centre of the first pixel
    corner = np.array([x - 0.5, y - 0.5])
    rings = [(_simplified(np.asarray(line)) + corner) / scale for line in lines]
    polygon = tuple(tuple(ring.ravel().tolist()) for ring in rings if len(ring) >= MIN_POINTS)
    return (polygon,) if polygon else ()


def _simplified(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return fewer points [N, 2] of a closed line, the first one not repeated."""
    path = Path(line)
    path.simplify_threshold = SIMPLIFIED
    path.should_simplify = True
    simplified = path.cleaned(simplify=True)
    points: NDArray[np.float64] = np.asarray(simplified.vertices)[np.asarray(simplified.codes) != Path.STOP]
    return points[:-1] if (points[0] == points[-1]).all() else points
