"""Color augmentation: one linear map of RGB for each image."""

import random

import pytest
import torch

from vott_trainer.vision import colors
from vott_trainer.vision.colors import random_colors, recolored

UNCHANGED = torch.eye(3, 4)


def test_images_are_converted_to_0_to_1_each_with_its_own_colors() -> None:
    images = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    half = 0.5 * UNCHANGED
    half[:, 3] = 0.25
    result = recolored(images, torch.stack((UNCHANGED, half)))
    assert torch.allclose(result[0], images[0] / 255, atol=1e-6)
    assert torch.allclose(result[1], images[1] / 255 * 0.5 + 0.25, atol=1e-6)


def test_pixels_stay_between_0_and_1() -> None:
    images = torch.tensor([0, 128, 255], dtype=torch.uint8).expand(50, 3, 1, 3)
    result = recolored(images, torch.stack([random_colors(random.Random(seed)) for seed in range(50)]))
    assert (float(result.min()), float(result.max())) == (0.0, 1.0)


def test_grey_stays_grey_whatever_saturation_and_hue() -> None:
    for seed in range(20):
        drawn = random_colors(random.Random(seed))
        shades = drawn[:, :3] @ torch.full((3,), 0.5) + drawn[:, 3]
        assert shades.tolist() == pytest.approx([float(shades[0])] * 3, abs=1e-3)
        assert abs(float(shades[0]) - 0.5) <= colors.BRIGHTNESS + 1e-3


def test_colors_differ_between_images_and_repeat_for_a_seed() -> None:
    one, same, other = (random_colors(random.Random(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=0.01)
