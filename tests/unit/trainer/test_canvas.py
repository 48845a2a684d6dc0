"""Training images on a canvas: boxes stay on their objects through scaling, cropping, mirroring and mosaics."""

import random
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision.augmentation import Augmentation, Augmented, augmented
from vott_trainer.vision.canvas import GREY, Canvas, visible
from vott_trainer.vision.detector_samples import Sample

WHITE = 255


def sample(width: int, height: int, *boxes: tuple[int, int, int, int]) -> Sample:
    """A black image with a white rectangle in each box."""
    pixels = torch.zeros(3, height, width, dtype=torch.uint8)
    for left, top, right, bottom in boxes:
        pixels[:, top:bottom, left:right] = WHITE
    corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Sample(
        LabelledImage("https://store/a.png", Path("a.png"), []),
        pixels,
        corners,
        torch.ones(len(boxes), dtype=torch.int64),
        (1.0, 1.0),
    )


def extent(mask: Tensor) -> list[int]:
    """The bounding box of a mask [H, W]."""
    rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def draws(samples: list[Sample], canvas: Canvas, augmentation: Augmentation, count: int) -> list[Augmented]:
    rngs = [random.Random(seed) for seed in range(count)]
    return [augmented(samples[0], samples, canvas, augmentation, rng) for rng in rngs]


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_boxes_enclose_their_objects(square: bool, mosaic: float) -> None:
    """One object in each image, so that every white pixel belongs to it."""
    one = sample(120, 80, (40, 20, 90, 60))
    seen = 0
    for image in draws([one], Canvas(96, 128, square=square), Augmentation((0.5, 1.5), 0.5, mosaic), 60):
        if len(image.boxes) == 1 and not mosaic:
            assert extent(image.pixels[0] > 180) == pytest.approx(image.boxes[0].round().tolist(), abs=2)
            seen += 1
        for left, top, right, bottom in image.boxes.round().int().tolist():
            inner = image.pixels[0, top + 2 : bottom - 2, left + 2 : right - 2]
            assert (inner > 180).float().mean() > 0.9 if inner.numel() else True
            seen += 1
    assert seen > 40


def test_images_keep_their_proportions_unless_the_network_takes_squares() -> None:
    one = sample(120, 80, (0, 0, 120, 80))
    unscaled = Augmentation((1.0, 1.0), 0.0, 0.0)
    (kept,) = draws([one], Canvas(120, 120), unscaled, 1)
    (stretched,) = draws([one], Canvas(120, 120, square=True), unscaled, 1)
    left, top, right, bottom = kept.boxes[0].tolist()
    assert (right - left, bottom - top) == pytest.approx((120, 80))
    assert stretched.boxes[0].tolist() == pytest.approx([0, 0, 120, 120])
    assert (kept.pixels == GREY).any(), "the rest of the canvas"


def test_images_have_the_size_at_which_they_are_measured_whatever_the_canvas() -> None:
    canvas = Canvas.fitting([(160, 90)] * 9 + [(90, 160)], 100)
    assert (canvas.height, canvas.width) == (64, 128)
    portrait = sample(90, 160, (30, 60, 60, 90))
    unscaled = Augmentation((1.0, 1.0), 0.0, 0.0)
    for image in draws([portrait], canvas, unscaled, 5):
        left, _, right, _ = image.boxes[0].tolist()
        assert right - left == pytest.approx(30 * 100 / 160)


def test_object_remains_if_an_image_is_enlarged_beyond_the_canvas() -> None:
    one = sample(200, 200, (0, 0, 30, 30))
    images = draws([one], Canvas(96, 96), Augmentation((1.5, 1.5), 0.0, 0.0), 40)
    assert [len(image.boxes) for image in images] == [1] * 40


def test_half_of_the_images_are_mirrored() -> None:
    one = sample(64, 64, (0, 0, 20, 64))
    images = draws([one], Canvas(64, 64), Augmentation((1.0, 1.0), 0.5, 0.0), 200)
    lefts = [float(image.boxes[0, 0]) for image in images]
    assert set(lefts) == {0.0, 44.0}
    assert 70 < lefts.count(44.0) < 130


def test_mosaic_shows_several_images() -> None:
    one, other = sample(64, 64, (10, 10, 50, 50)), sample(64, 64, (10, 10, 50, 50), (20, 20, 30, 30))
    images = [
        augmented(one, [other], Canvas(128, 128), Augmentation((0.9, 1.1), 0.5, 1.0), random.Random(seed))
        for seed in range(4)
    ]
    assert sum(len(image.boxes) for image in images) > 16


def test_box_is_left_out_once_little_of_it_is_visible() -> None:
    boxes = torch.tensor([[-50.0, 0, 50, 10], [-80, 0, 20, 10], [20, 20, 20.5, 30], [0, 0, 100, 100]])
    clipped, is_visible = visible(boxes, 100, 100)
    assert is_visible.tolist() == [True, False, True, True]
    assert clipped[0].tolist() == [0, 0, 50, 10]


def test_canvas_has_the_usual_shape_of_the_images() -> None:
    assert Canvas.fitting([(640, 480)] * 10, 448) == Canvas(352, 448, 448)
    assert Canvas.fitting([(640, 480)] * 5 + [(480, 640)] * 5, 320) == Canvas(320, 320, 320)
    assert Canvas.fitting([(1920, 1080)], 512, square=True) == Canvas(512, 512, 512, square=True)
    assert Canvas.fitting([(1000, 10)], 320) == Canvas(32, 320, 320)
