"""Detector samples: boxes are scaled with their image and clipped to it."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from vott_trainer.annotations import Box
from vott_trainer.data.checks import clean
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision.detector_samples import load_sample


def test_box_is_scaled_with_its_image_and_clipped(tmp_path: Path) -> None:
    Image.new("RGB", (160, 120)).save(path := tmp_path / "a.png")
    boxes = [Box(-20, 10, 60, 50, "a"), Box(150, 110, 500, 500, "b")]
    sample = load_sample(LabelledImage("https://store/a.png", path, boxes), ["a", "b"], image_size=80)
    assert sample.pixels.shape == (3, 60, 80)
    assert sample.boxes.tolist() == [[0, 5, 20, 30], [75, 55, 80, 60]]
    assert sample.labels.tolist() == [1, 2]


@pytest.mark.parametrize("size", [(1003, 4000), (4000, 1003)])
def test_every_checked_box_remains_in_a_smaller_image(size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size).save(path := tmp_path / "a.png")
    width, height = size
    boxes = [Box(width - 1, height - 1, 1, 1, "a"), Box(0, 0, 1, 2, "a"), Box(0.1, 9.2, 1, 1, "a")]
    (image,), _ = clean([LabelledImage("https://store/a.png", path, boxes)])
    sample = load_sample(image, ["a"], image_size=80)
    assert len(sample.boxes) == len(sample.labels) == len(image.boxes) == 3
    assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
    assert (sample.boxes[:, 2:] <= torch.tensor(sample.pixels.shape[:0:-1])).all()


def test_box_is_stretched_with_its_image_into_a_square(tmp_path: Path) -> None:
    Image.new("RGB", (160, 90)).save(path := tmp_path / "a.png")
    image = LabelledImage("https://store/a.png", path, [Box(40, 45, 80, 45, "a")])
    sample = load_sample(image, ["a"], image_size=320, square=True)
    assert sample.pixels.shape == (3, 320, 320)
    assert sample.scale == (2, 320 / 90)
    assert sample.boxes.tolist() == [[80, 160, 240, 320]]


def test_outline_as_thin_as_a_line_has_a_box_with_an_area(tmp_path: Path) -> None:
    Image.new("RGB", (1600, 1200)).save(path := tmp_path / "a.png")
    line = (((1500.0, 10.0, 1500.0001, 10.0, 1500.0001, 800.0, 1500.0, 800.0),),)
    image = LabelledImage("https://store/a.png", path, [Box(1499, 10, 2, 790, "a", line)])
    ((left, top, right, bottom),) = load_sample(image, ["a"], image_size=320, shapes=True).boxes.tolist()
    assert (left, top, bottom) == pytest.approx((300, 2, 160))
    assert right - left == pytest.approx(0.2, abs=1e-4)
