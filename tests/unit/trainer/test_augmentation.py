"""Augmentation of a classifier's images: mirroring moves boxes with the pixels, shifts fill the gap with the border."""

import random

import pytest
import torch

from vott_trainer.vision.augmentation import mirrored, shifted_and_mirrored


def test_mirroring_moves_boxes_with_the_pixels() -> None:
    pixels = torch.zeros(3, 10, 20, dtype=torch.uint8)
    pixels[:, 2:5, 1:4] = 255
    image, (box,) = mirrored(pixels, torch.tensor([[1.0, 2.0, 4.0, 5.0]]))
    assert (image[:, 2:5, 16:19] == 255).all()
    assert image.count_nonzero() == pixels.count_nonzero()
    assert box.tolist() == [16, 2, 19, 5]


class Draws(random.Random):
    """Draws the given shift, and whether to mirror."""

    def __init__(self, left: int, top: int, mirror: float) -> None:
        super().__init__()
        self.shifts, self.mirror = [left, top], mirror

    def randint(self, a: int, b: int) -> int:
        assert (a, b) == (0, 8), "twice an eighth of 32"
        return self.shifts.pop(0)

    def random(self) -> float:
        return self.mirror


@pytest.mark.parametrize(("left", "top"), [(0, 0), (8, 8), (4, 4), (1, 6)])
@pytest.mark.parametrize("mirror", [0.49, 0.5])
def test_shifted_image_repeats_its_border_in_the_gap(left: int, top: int, mirror: float) -> None:
    pixels = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    source = pixels.flip(-1) if mirror < 0.5 else pixels
    rows, columns = ((torch.arange(32) + start - 4).clamp(0, 31) for start in (top, left))
    assert torch.equal(shifted_and_mirrored(pixels, Draws(left, top, mirror)), source[:, rows][:, :, columns])


def test_no_image_is_mirrored_if_classes_are_each_others_mirror_image() -> None:
    pixels = torch.arange(32, dtype=torch.uint8).expand(3, 32, 32)
    images = [shifted_and_mirrored(pixels, random.Random(seed), share=0.0) for seed in range(20)]
    assert all(image[0, 0, 0] < image[0, 0, -1] for image in images)


def test_augmentation_is_the_same_for_the_same_seed() -> None:
    pixels = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    one, same, other = (shifted_and_mirrored(pixels, random.Random(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
