"""Images of any size on a canvas of one size: scaled, cropped or surrounded by grey, with their boxes."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

GREY = 127
MULTIPLE = 32  # pixels; the coarsest stride of the networks
USUAL = 0.9  # share of the images that fit without being cropped
MIN_VISIBLE = 0.25  # share of a box's area that must be on the canvas
MIN_SIDE = 2.0  # pixels of a box


@dataclass(frozen=True)
class Canvas:
    """Height and width of all training images of a batch, in pixels.

    Images are scaled as they are to be measured, their longer side to `image_size`, by default that of the canvas. What does not fit is
    cropped. On a `square` canvas they are stretched instead, to its height and width.
    """

    height: int
    width: int
    image_size: int = 0
    square: bool = False

    @classmethod
    def fitting(cls, sizes: Sequence[tuple[int, int]], image_size: int, *, square: bool = False) -> "Canvas":
        """Return the canvas for images of these widths and heights, whose longer sides are scaled to `image_size`.

        It has the usual width and height, so that little of it stays empty.
        """
        if square:
            return cls(image_size, image_size, image_size, square=True)
        scaled = [
            (width * image_size / max(width, height), height * image_size / max(width, height))
            for width, height in sizes
        ]
        width, height = np.quantile(np.array(scaled), USUAL, axis=0)
        return cls(_rounded(height), _rounded(width), image_size)

    def fit(self, height: int, width: int) -> tuple[float, float]:
        """Return the scales by x and y at which an image is measured."""
        if self.square:
            return self.width / width, self.height / height
        scale = (self.image_size or max(self.height, self.width)) / max(height, width)
        return scale, scale


def _rounded(pixels: float) -> int:
    return max(MULTIPLE, math.ceil((pixels - 1) / MULTIPLE) * MULTIPLE)


@dataclass(frozen=True)
class Placement:
    """Where an image lies: `left` and `top` on the canvas, negative where it is cropped, after scaling by `x` and `y`."""

    x: float
    y: float
    left: float
    top: float

    def of(self, boxes: Tensor) -> Tensor:
        """Transform boxes [N, 4] (x1, y1, x2, y2) to the canvas."""
        scale = torch.tensor([self.x, self.y, self.x, self.y])
        return boxes * scale + torch.tensor([self.left, self.top, self.left, self.top])

    def showing(self, box: Sequence[float], canvas: Canvas) -> "Placement":
        """Return the nearest placement that shows a box (x1, y1, x2, y2) of the image, as much of it as fits."""
        left = _shifted(self.left, box[0] * self.x, box[2] * self.x, canvas.width)
        top = _shifted(self.top, box[1] * self.y, box[3] * self.y, canvas.height)
        return Placement(self.x, self.y, left, top)


def _shifted(offset: float, first: float, last: float, length: int) -> float:
    """Return the offset nearest to `offset` at which `first` to `last` lies within `length`, or covers it."""
    limits = sorted((-first, length - last))
    return min(max(offset, limits[0]), limits[1])


def random_placement(
    size: tuple[int, int], canvas: Canvas, scale: tuple[float, float], rng: random.Random
) -> Placement:
    """Draw a place for an image of height and width `size`, scaled by x and y; what does not fit is cropped."""
    height, width = size[0] * scale[1], size[1] * scale[0]
    left = rng.uniform(min(0.0, canvas.width - width), max(0.0, canvas.width - width))
    top = rng.uniform(min(0.0, canvas.height - height), max(0.0, canvas.height - height))
    return Placement(scale[0], scale[1], left, top)


def visible(boxes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Clip boxes [N, 4] to a height and width; return them, and which [N] are still worth learning."""
    edge = torch.tensor([width, height, width, height], dtype=torch.float32)
    clipped = torch.minimum(boxes.clamp(min=0), edge)
    sides, whole = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    share = sides.prod(dim=1) / whole.prod(dim=1).clamp(min=1e-6)
    return clipped, (share >= MIN_VISIBLE) & (sides.amin(dim=1) >= torch.clamp(whole.amin(dim=1), max=MIN_SIDE))


def draw(pixels: Tensor, onto: Tensor, placement: Placement) -> None:
    """Draw an image, uint8 [3, h, w], onto a canvas, uint8 [3, H, W]."""
    columns = _span(placement.left, placement.x, pixels.shape[2], onto.shape[2])
    rows = _span(placement.top, placement.y, pixels.shape[1], onto.shape[1])
    if not columns or not rows:
        return
    part = pixels[:, rows.first : rows.last, columns.first : columns.last]
    size = (rows.end - rows.start, columns.end - columns.start)
    resized = (
        part if part.shape[1:] == size else functional.interpolate(part[None], size, mode="bilinear", antialias=True)[0]
    )
    onto[:, rows.start : rows.end, columns.start : columns.end] = resized


@dataclass(frozen=True)
class _Span:
    """Pixels `first` to `last` of an image cover `start` to `end` of the canvas."""

    first: int
    last: int
    start: int
    end: int


def _span(offset: float, scale: float, source: int, target: int) -> _Span | None:
    first, last = max(0, math.floor(-offset / scale)), min(source, math.ceil((target - offset) / scale))
    start, end = max(0, round(offset + first * scale)), min(target, round(offset + last * scale))
    return _Span(first, last, start, end) if first < last and start < end else None
