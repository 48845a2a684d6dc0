"""Split into training and held-out images: by content, with every class on both sides."""

from pathlib import Path

import pytest

from vott_trainer.annotations import Box
from vott_trainer.data.split import split_by_class, split_images
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision.classifier_samples import View

BOX = Box(1, 2, 3, 4, "cat")


@pytest.fixture
def images(tmp_path: Path) -> list[LabelledImage]:
    """Ten images with a box and ten without one, all of different content."""
    paths = [tmp_path / str(number) for number in range(20)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]))
    return [LabelledImage(f"https://store/{path.name}", path, [BOX] * (n < 10)) for n, path in enumerate(paths)]


def test_split_does_not_depend_on_order_or_names(images: list[LabelledImage]) -> None:
    renamed = [
        LabelledImage(f"https://other/{i}", image.path, image.boxes) for i, image in enumerate(reversed(images[:10]))
    ]
    images = images[:10]
    first, second = split_images(images, 0.3), split_images(renamed, 0.3)
    assert [image.path for image in first[1]] == [image.path for image in second[1]]
    assert (len(first[0]), len(first[1])) == (7, 3)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_both_sides_of_a_split_have_an_image_with_objects(fraction: float, images: list[LabelledImage]) -> None:
    for side in split_images(images[:2], fraction):
        assert len(side) == 1


@pytest.mark.parametrize(("fraction", "held_out"), [(0.01, 0), (0.2, 2), (0.99, 10)])
def test_images_without_objects_are_split_by_the_fraction_alone(
    fraction: float, held_out: int, images: list[LabelledImage]
) -> None:
    training, measuring = split_images(images, fraction)
    assert sum(not image.boxes for image in measuring) == held_out
    assert len(training) + len(measuring) == len(images)


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.99])
def test_each_class_is_on_both_sides_of_the_split_and_each_image_on_one(fraction: float, tmp_path: Path) -> None:
    views = []
    for number in range(20):
        path = tmp_path / f"{number}.png"
        path.write_bytes(bytes([number]))
        image = LabelledImage("", path, [])
        views += [View(image, "rare" if number < 2 else "common")] * 2
    training, held_out = split_by_class(views, fraction)
    assert {view.label for view in training} == {view.label for view in held_out} == {"rare", "common"}
    assert not {view.image.path for view in training} & {view.image.path for view in held_out}
    assert {view.image.path for view in split_by_class(views[::-1], fraction)[1]} == {
        view.image.path for view in held_out
    }
