"""Augmentation: flips move boxes with the pixels, shifts fill the gap with the border, tones stay in range."""

import random

import pytest
import torch

from vott_trainer.vision import augmentation
from vott_trainer.vision.augmentation import flipped, random_tone, shifted_and_flipped, toned


def test_flip_moves_boxes_with_the_pixels() -> None:
    pixels = torch.zeros(3, 10, 20, dtype=torch.uint8)
    pixels[:, 2:5, 1:4] = 255
    image, (box,) = flipped(pixels, torch.tensor([[1.0, 2.0, 4.0, 5.0]]))
    assert (image[:, 2:5, 16:19] == 255).all()
    assert image.count_nonzero() == pixels.count_nonzero()
    assert box.tolist() == [16, 2, 19, 5]


class Draws(random.Random):
    """Draws the given shift and flip."""

    def __init__(self, left: int, top: int, flip: float) -> None:
        super().__init__()
        self.shifts, self.flip = [left, top], flip

    def randint(self, a: int, b: int) -> int:
        assert (a, b) == (0, 8), "twice an eighth of 32"
        return self.shifts.pop(0)

    def random(self) -> float:
        return self.flip


@pytest.mark.parametrize(("left", "top"), [(0, 0), (8, 8), (4, 4), (1, 6)])
@pytest.mark.parametrize("flip", [0.49, 0.5])
def test_shifted_image_repeats_its_border_in_the_gap(left: int, top: int, flip: float) -> None:
    pixels = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    source = pixels.flip(-1) if flip < 0.5 else pixels
    rows, columns = ((torch.arange(32) + start - 4).clamp(0, 31) for start in (top, left))
    assert torch.equal(shifted_and_flipped(pixels, Draws(left, top, flip)), source[:, rows][:, :, columns])


def test_augmentation_is_the_same_for_the_same_seed() -> None:
    pixels = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    one, same, other = (shifted_and_flipped(pixels, random.Random(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_tones_are_drawn_from_their_ranges() -> None:
    tones = [random_tone(random.Random(seed)) for seed in range(500)]
    for values, (low, high) in zip(
        zip(*tones, strict=True), (augmentation.CONTRAST, augmentation.BRIGHTNESS), strict=True
    ):
        assert low <= min(values) < low + 0.02
        assert high - 0.02 < max(values) <= high


def test_toned_pixels_stay_between_0_and_1() -> None:
    pixels = torch.tensor([[[0, 128, 255]]], dtype=torch.uint8).expand(3, 1, 3)
    assert torch.allclose(toned(pixels, 1.0, 0.0), pixels / 255)
    assert toned(pixels, 0.5, 0.25)[0, 0].tolist() == pytest.approx([0.5, 0.5 * 128 / 255 + 0.5, 1.0])
    assert toned(pixels, 1.2, 0.1).max() == 1.0
    assert toned(pixels, 1.2, -0.1).min() == 0.0
