"""Masks and outlines of objects: overlap, tracing, rasterization, drawing, and matching by them."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vott_trainer.annotations import Box, Outline, read
from vott_trainer.annotations.outlines import bounding_box
from vott_trainer.plugin_api import Prediction
from vott_trainer.report.pictures import pictures
from vott_trainer.vision import mask_outlines, matching
from vott_trainer.vision.coco_predictions import coco_document
from vott_trainer.vision.drawing import draw
from vott_trainer.vision.shapes import Shape

GREY = Image.new("RGB", (200, 120), (128, 128, 128))


def disc(radius: float = 40, hole: float = 0, size: tuple[int, int] = (100, 140)) -> NDArray[np.bool_]:
    """A disc, or a ring, at x 70, y 50."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    distance = np.hypot(x - 70, y - 50)
    inside: NDArray[np.bool_] = (hole <= distance) & (distance <= radius)
    return inside


def square(x: float, y: float, side: float) -> Outline:
    return (((x, y, x + side, y, x + side, y + side, x, y + side),),)


def boxed(outline: Outline, label: str = "cat") -> Box:
    return Box(*bounding_box(outline), label, outline)


def rasterized(outline: Outline, size: tuple[int, int]) -> NDArray[np.bool_]:
    return Shape.of(boxed(outline)).mask(*size)


def traced(mask: NDArray[np.bool_], scale: float = 1.0) -> Outline:
    return mask_outlines.outline_of(mask_outlines.run_lengths(mask[None])[0], (scale, scale))


TRIANGLE: Outline = (((0, 0, 40, 0, 0, 40),),)
OTHER_HALF: Outline = (((40, 0, 40, 40, 0, 40),),)  # of the same box


def test_pixel_belongs_to_an_outline_if_its_centre_lies_inside() -> None:
    assert rasterized((((1, 1, 3.6, 1, 3.6, 2.4, 1, 2.4),),), (4, 5)).tolist() == [
        [False] * 5,
        [False, True, True, True, False],
        [False] * 5,
        [False] * 5,
    ]


def test_outline_beyond_the_image_is_cut_at_its_edges() -> None:
    assert rasterized(square(-5, -5, 7), (4, 5)).sum() == 4
    assert rasterized(square(3, 2, 70), (4, 5)).sum() == 4
    assert rasterized(square(-50, -50, 100), (4, 5)).all()
    assert not rasterized(square(50, 50, 9), (4, 5)).any()


def test_rings_of_a_polygon_are_holes_and_polygons_add_up() -> None:
    outer, inner = square(0, 0, 9)[0][0], square(3, 3, 3)[0][0]
    assert rasterized(((outer, inner),), (9, 9)).sum() == 81 - 9
    assert rasterized(((outer,), (inner,)), (9, 9)).all()
    assert rasterized(((outer, inner), (inner,)), (9, 9)).all()


@pytest.mark.parametrize(
    "mask", [disc(), disc(hole=20), disc(40) & ~disc(30) | disc(10)], ids=["disc", "ring", "rings"]
)
def test_traced_mask_covers_nearly_the_same_pixels_with_few_points(mask: NDArray[np.bool_]) -> None:
    outline = traced(mask)
    again = rasterized(outline, mask.shape)
    assert (again & mask).sum() / (again | mask).sum() > 0.97
    assert sum(len(ring) // 2 for polygon in outline for ring in polygon) < 300


def test_traced_mask_is_scaled_to_the_image() -> None:
    assert bounding_box(traced(disc(), scale=0.5)) == pytest.approx((60, 20, 160, 160), abs=2)


def test_mask_without_area_has_no_outline() -> None:
    assert traced(np.zeros((9, 9), np.bool_)) == ()


def test_objects_in_the_same_box_do_not_overlap_unless_their_outlines_do() -> None:
    assert matching.iou(boxed(TRIANGLE), boxed(OTHER_HALF)) < 0.02
    assert matching.iou(boxed(TRIANGLE), boxed(TRIANGLE)) == 1
    assert matching.iou(boxed(TRIANGLE), Box(0, 0, 40, 40, "cat")) == pytest.approx(0.5, abs=0.01)
    assert matching.iou(Box(0, 0, 40, 40, "cat"), boxed(OTHER_HALF)) == pytest.approx(0.5, abs=0.01)
    assert matching.iou(boxed(square(0, 0, 10)), boxed(square(5, 0, 10))) == pytest.approx(1 / 3, abs=0.02)
    assert matching.iou(boxed(TRIANGLE), boxed(square(90, 90, 5))) == 0


def test_prediction_matches_the_object_whose_outline_it_covers() -> None:
    lower, upper = (Prediction("cat", 1.0, boxed(outline)) for outline in (OTHER_HALF, TRIANGLE))
    predicted = Prediction("cat", 0.9, boxed(TRIANGLE))
    assert matching.match([lower, upper], [predicted]) == [(upper, predicted), (lower, None)]


def test_drawn_outline_is_translucent_with_an_opaque_edge() -> None:
    outline = (*square(40, 30, 60), ((150, 50, 190, 50, 190, 90),))
    drawn = draw(GREY, [Prediction("circle", 0.9, boxed(outline))])
    inside, edge, outside = (drawn.getpixel(place) for place in ((70, 70), (40, 88), (120, 100)))
    assert outside == (128, 128, 128) not in (inside, edge)
    assert inside != edge
    assert drawn.getpixel((185, 60)) == inside
    assert drawn.getpixel((155, 85)) == outside


def test_picture_of_the_report_has_a_path_for_each_polygon(tmp_path: Path) -> None:
    GREY.resize((1280, 768)).save(tmp_path / "a.png")
    ring: Outline = ((square(0, 0, 100)[0][0], square(20, 20, 40)[0][0]), square(200, 0, 50)[0])
    truth = [Prediction("cat", 1.0, boxed(ring)), Prediction("dog", 1.0, Box(300, 300, 20, 20, "dog"))]
    example = matching.example(tmp_path / "a.png", "a.png", truth, [])
    (picture,) = pictures([example])
    outlined, plain = picture.marks
    first = "M0.0 0.0 50.0 0.0 50.0 50.0 0.0 50.0Z M10.0 10.0 30.0 10.0 30.0 30.0 10.0 30.0Z"
    assert outlined.outlines == [first, "M100.0 0.0 125.0 0.0 125.0 25.0 100.0 25.0Z"]
    assert plain.outlines == []


def test_picture_has_no_more_points_than_pixels_along_the_outline(tmp_path: Path) -> None:
    GREY.save(tmp_path / "a.png")
    fine = (*(value for number in range(5000) for value in (number / 100, 40.0)), 50.0, 60.0)
    example = matching.example(tmp_path / "a.png", "a.png", [Prediction("cat", 1.0, boxed(((fine,),)))], [])
    (mark,) = pictures([example])[0].marks
    assert len(mark.outlines[0].split()) < 250


def test_predictions_written_as_coco_are_read_as_annotations(tmp_path: Path) -> None:
    ring: Outline = ((square(0, 0, 30)[0][0], square(10, 10, 10)[0][0]),)
    boxes = [boxed(TRIANGLE), boxed(ring, "dog"), Box(5, 6, 7, 8, "cat")]
    document = coco_document("a.jpg", (200, 120), [Prediction(box.label, 0.9, box) for box in boxes])
    (tmp_path / "found.json").write_text(json.dumps(document))
    (image,) = read(tmp_path / "found.json", "found.json", annotations_url="https://store/found.json").images
    triangle, hollow, plain = image.boxes
    assert (image.size, triangle, plain) == ((200, 120), boxes[0], boxes[2])
    assert hollow.label == "dog"
    assert (rasterized(hollow.outline or (), (120, 200)) == rasterized(ring, (120, 200))).all()
    areas = [one["area"] for one in document["annotations"]]
    assert areas == [pytest.approx(800, rel=0.05), 800, 56]
    assert {one["score"] for one in document["annotations"]} == {0.9}
