"""Drawing of predictions on their image."""

from PIL import Image, ImageChops

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Prediction
from vott_trainer.vision.drawing import draw

GREY = Image.new("RGB", (200, 120), (128, 128, 128))


def changed(image: Image.Image) -> tuple[int, int, int, int] | None:
    """The bounding box of what was drawn."""
    return ImageChops.difference(image, GREY).getbbox()


def test_box_and_label_are_drawn_on_a_copy() -> None:
    drawn = draw(GREY, [Prediction("circle", 0.9, Box(40, 30, 100, 60, "circle"))])
    assert changed(drawn) == (40, 30, 141, 91)
    assert changed(GREY) is None


def test_classes_of_the_whole_image_are_listed_in_its_corner() -> None:
    one, two = Prediction("cat", 0.9), Prediction("dog", 0.1)
    (_, top, _, first), (left, _, _, second) = (
        changed(draw(GREY, predictions)) or (9, 9, 0, 0) for predictions in ([one], [one, two])
    )
    assert (left, top) == (0, 0)
    assert second >= 2 * first


def test_each_label_has_its_own_colour() -> None:
    box = Box(50, 50, 40, 40, "")
    corners = [draw(GREY, [Prediction(label, 0.9, box)]).getpixel((50, 90)) for label in ("cat", "cat", "dog")]
    assert corners[0] == corners[1] != corners[2]


def test_labels_in_other_scripts_are_drawn() -> None:
    assert changed(draw(GREY, [Prediction("Ärger, Γάτα, кошка", 0.5)]))
