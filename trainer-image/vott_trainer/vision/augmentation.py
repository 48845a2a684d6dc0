"""Augmentation of training images: scale, position, mirroring and mosaics for detectors; shift and mirroring for classifiers."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vott_trainer.vision.canvas import GREY, Canvas, draw, random_placement, visible
from vott_trainer.vision.detector_samples import Sample
from vott_trainer.vision.shapes import Shape

MIRRORED = 0.5  # share of the images
SHIFT = 8  # a classifier's image is shifted by up to 1/8 of its side


@dataclass(frozen=True)
class Augmentation:
    """How training images are changed.

    Attributes:
        scale: smallest and largest factor on the size at which an image fits the canvas.
        mirrored: share of the images that are mirrored.
        mosaic: share of the images that are put together from four.
    """

    scale: tuple[float, float] = (0.5, 1.5)
    mirrored: float = MIRRORED
    mosaic: float = 0.0


@dataclass(frozen=True)
class Augmented:
    """A training image: uint8 [3, H, W], boxes [N, 4] as x1, y1, x2, y2, and labels [N]; the shapes, if the samples have them."""

    pixels: Tensor
    boxes: Tensor
    labels: Tensor
    shapes: Sequence[Shape] = ()

    def masks(self, stride: int) -> Tensor:
        """Return the masks of the objects inside their boxes, uint8 [N, H / stride, W / stride]."""
        height, width = (side // stride for side in self.pixels.shape[1:])
        masks = torch.zeros((len(self.shapes), height, width), dtype=torch.uint8)
        for mask, shape, box in zip(masks, self.shapes, (self.boxes / stride).tolist(), strict=True):
            left, top, right, bottom = math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])
            inside = shape.moved((1 / stride, 1 / stride), (-left, -top)).mask(bottom - top, right - left)
            mask[top:bottom, left:right] = torch.from_numpy(inside)
        return masks


def augmented(
    sample: Sample, others: Sequence[Sample], canvas: Canvas, augmentation: Augmentation, rng: random.Random
) -> Augmented:
    """Augment a sample; a mosaic takes its other images from `others`."""
    pixels = torch.full((3, canvas.height, canvas.width), GREY, dtype=torch.uint8)
    if rng.random() < augmentation.mosaic:
        x, y = (round(rng.uniform(0.3, 0.7) * side) for side in (canvas.width, canvas.height))
        samples = [sample, *(others[rng.randrange(len(others))] for _ in range(3))]
        tiles = [(0, 0, x, y), (x, 0, canvas.width, y), (0, y, x, canvas.height), (x, y, canvas.width, canvas.height)]
        rng.shuffle(tiles)
        parts = [
            _drawn(one, pixels[:, top:bottom, left:right], canvas, augmentation, rng, corner=(left, top))
            for one, (left, top, right, bottom) in zip(samples, tiles, strict=True)
        ]
        boxes, labels = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
        shapes = [shape for _, _, visible_shapes in parts for shape in visible_shapes]
    else:
        boxes, labels, shapes = _drawn(sample, pixels, canvas, augmentation, rng)
    if rng.random() < augmentation.mirrored:
        pixels, boxes = mirrored(pixels, boxes)
        shapes = [shape.moved((-1, 1), (canvas.width, 0)) for shape in shapes]
    return Augmented(pixels, boxes, labels, shapes)


def _drawn(
    sample: Sample,
    onto: Tensor,
    canvas: Canvas,
    augmentation: Augmentation,
    rng: random.Random,
    *,
    corner: tuple[int, int] = (0, 0),
) -> tuple[Tensor, Tensor, list[Shape]]:
    """Draw a sample onto a part of the canvas at a random scale and place; return its visible boxes, labels and shapes."""
    height, width = sample.pixels.shape[1:]
    tile = Canvas(onto.shape[1], onto.shape[2])
    fit = canvas.fit(height, width)
    factor = math.exp(rng.uniform(*map(math.log, augmentation.scale)))
    scale = (fit[0] * factor, fit[1] * factor)
    place = random_placement((height, width), tile, scale, rng)
    boxes, is_visible = visible(place.of(sample.boxes), tile.height, tile.width)
    if len(boxes) and not is_visible.any():
        place = place.showing(rng.choice(sample.boxes.tolist()), tile)
        boxes, is_visible = visible(place.of(sample.boxes), tile.height, tile.width)
    draw(sample.pixels, onto, place)
    left, top = corner
    shapes = [
        shape.moved((place.x, place.y), (place.left + left, place.top + top))
        for shape, shown in zip(sample.shapes, is_visible.tolist(), strict=False)
        if shown
    ]
    return boxes[is_visible] + torch.tensor([left, top, left, top]), sample.labels[is_visible], shapes


def mirrored(pixels: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror an image [C, H, W] horizontally with its boxes [N, 4] (x1, y1, x2, y2)."""
    width = pixels.shape[-1]
    corners = (width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3])
    return pixels.flip(-1), torch.stack(corners, dim=1)


def shifted_and_mirrored(pixels: Tensor, rng: random.Random, share: float = MIRRORED) -> Tensor:
    """Shift a square image at random, and mirror a share of them; the border pixels fill the gap."""
    side = pixels.shape[-1]
    reach = side // SHIFT
    left, top = rng.randint(0, 2 * reach), rng.randint(0, 2 * reach)
    image = pixels.flip(-1) if rng.random() < share else pixels
    padded = functional.pad(image[None].float(), (reach,) * 4, mode="replicate")[0].to(torch.uint8)
    return padded[:, top : top + side, left : left + side]
