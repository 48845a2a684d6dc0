"""The demo's image set."""

import io
from collections import Counter

from PIL import Image

from demo.shapes import CLASSES, HEIGHT, WIDTH, Box, annotated_images


def test_the_same_seed_gives_the_same_images() -> None:
    assert list(annotated_images(4, seed=3)) == list(annotated_images(4, seed=3))


def test_another_seed_gives_other_images() -> None:
    assert list(annotated_images(2, seed=3)) != list(annotated_images(2, seed=4))


def test_images_are_jpegs_of_the_stated_size() -> None:
    for image in annotated_images(3):
        with Image.open(io.BytesIO(image.jpeg)) as opened:
            assert (opened.format, opened.size) == ("JPEG", (WIDTH, HEIGHT))


def test_every_class_occurs_about_equally_often() -> None:
    counts = Counter(box.label for image in annotated_images(48) for box in image.boxes)
    assert set(counts) == set(CLASSES)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_objects_are_inside_the_image_and_do_not_overlap() -> None:
    for image in annotated_images(48):
        assert image.boxes
        for index, box in enumerate(image.boxes):
            assert box.x >= 0 <= box.y
            assert box.x + box.width <= WIDTH
            assert box.y + box.height <= HEIGHT
            assert not any(box.overlaps(other, gap=0) for other in image.boxes[index + 1 :])


def test_an_object_is_inside_its_box() -> None:
    image = next(annotated_images(1))
    with Image.open(io.BytesIO(image.jpeg)) as opened:
        for box in image.boxes:
            assert _contrast(opened, box) > 40


def _contrast(image: Image.Image, box: Box) -> float:
    """Colour difference between the box's centre and a pixel outside its upper left corner."""
    inside = image.getpixel((box.x + box.width // 2, box.y + box.height // 2))
    outside = image.getpixel((box.x - 4, box.y - 4))
    assert isinstance(inside, tuple)
    assert isinstance(outside, tuple)
    return max(abs(a - b) for a, b in zip(inside, outside, strict=True))
