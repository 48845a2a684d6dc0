"""Crops of the classifier: bounds in whole pixels inside the image, and proportions kept in the square."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vott_trainer.annotations import Box
from vott_trainer.vision.crops import GREY, crop_bounds, load_square

WIDTH, HEIGHT = 50, 30


@pytest.mark.parametrize(
    ("x", "y", "width", "height", "bounds"),
    [
        (10, 5, 20, 8, (10, 5, 30, 13)),
        (10.9, 5.9, 20.7, 8.7, (10, 5, 32, 15)),  # starts are rounded down, ends to the nearest pixel
        (-3, -4, 10, 9, (0, 0, 7, 5)),
        (45, 20, 20, 20, (45, 20, 50, 30)),
        (10.2, 12.2, 0.2, 0.2, (10, 12, 11, 13)),
        (49, 29, 1, 1, (49, 29, 50, 30)),
        (60, 40, 5, 5, (49, 29, 50, 30)),
        (-9, -9, 3, 3, (0, 0, 1, 1)),
    ],
)
def test_bounds_are_whole_pixels_inside_the_image(
    x: float, y: float, width: float, height: float, bounds: tuple[int, int, int, int]
) -> None:
    assert crop_bounds(Box(x, y, width, height, ""), WIDTH, HEIGHT) == bounds


def test_image_keeps_its_proportions_in_the_square(tmp_path: Path) -> None:
    Image.new("RGB", (80, 40), (255, 0, 0)).save(tmp_path / "wide.png")
    square = load_square(tmp_path / "wide.png", 40)
    assert square.shape == (3, 40, 40)
    rows = [tuple(square[:, row, 20].tolist()) for row in range(40)]
    assert rows == [GREY] * 10 + [(255, 0, 0)] * 20 + [GREY] * 10


def test_box_is_cropped_without_its_surroundings(tmp_path: Path) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[20:, 40:] = 255
    Image.fromarray(pixels).save(path := tmp_path / "corner.png")
    assert (load_square(path, 10, Box(40, 20, 100, 10, "")) == 255).all()
    assert (load_square(path, 10, Box(39, 19, 11, 11, ""))[:, 0, 0] < 10).all()
