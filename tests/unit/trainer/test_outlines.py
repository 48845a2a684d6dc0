"""Outlines of objects: VoTT's polygons, COCO's polygons and run-length masks, and their checks before training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_masks
from numpy.typing import NDArray
from PIL import Image

from vott_trainer.annotations import Box, Outline, limits, outlines, read, run_lengths
from vott_trainer.annotations.findings import Finding
from vott_trainer.data import annotated_size
from vott_trainer.data.checks import clean
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision.shapes import Shape

TRIANGLE = [{"x": 5, "y": 9}, {"x": 11, "y": 2}, {"x": 8, "y": 20}]
POLYGON = (((5.0, 9.0, 11.0, 2.0, 8.0, 20.0),),)
BOUNDS = {"left": 5, "top": 2, "width": 6, "height": 18}


def boxes_of_vott(tmp_path: Path, **region: Any) -> list[Box]:
    asset = {"path": "https://images/a.jpg", "state": 2, "size": {"width": 640, "height": 480}}
    regions = [{"tags": ["cat"]} | region]
    path = tmp_path / "file"
    path.write_text(json.dumps({"assets": {"1": {"asset": asset, "regions": regions}}}))
    return read(path, "export.json", annotations_url="https://store/export.json").images[0].boxes


def boxes_of_coco(tmp_path: Path, segmentation: Any, **fields: Any) -> list[Box]:
    annotation = {"id": 1, "image_id": 7, "category_id": 1, "segmentation": segmentation} | fields
    others = [annotation | {"segmentation": None, "bbox": [0, 0, 1, 1], "iscrowd": 0}] * 10  # groups are a few of all
    document = {
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [annotation, *others],
    }
    path = tmp_path / "file"
    path.write_text(json.dumps(document))
    return read(path, "coco.json", annotations_url="https://store/coco.json").images[0].boxes[: -len(others)]


@pytest.mark.parametrize("region", [{"type": "POLYGON", "boundingBox": BOUNDS}, {"type": "POLYGON"}, {}])
def test_polygon_of_vott_is_an_outline(region: dict[str, Any], tmp_path: Path) -> None:
    assert boxes_of_vott(tmp_path, points=TRIANGLE, **region) == [Box(5, 2, 6, 18, "cat", POLYGON)]


@pytest.mark.parametrize("kind", ["RECTANGLE", "SQUARE"])
def test_rectangle_of_vott_has_no_outline_although_it_has_points(kind: str, tmp_path: Path) -> None:
    corners = [{"x": x, "y": y} for x, y in ((5, 2), (11, 2), (11, 20), (5, 20))]
    found = boxes_of_vott(tmp_path, type=kind, points=corners, boundingBox=BOUNDS)
    assert found == [Box(5, 2, 6, 18, "cat")]
    assert boxes_of_vott(tmp_path, type=kind, points=corners) == found


def test_every_tag_of_a_polygon_has_its_outline(tmp_path: Path) -> None:
    found = boxes_of_vott(tmp_path, type="POLYGON", points=TRIANGLE, tags=["cat", "black"])
    assert [(box.label, box.outline) for box in found] == [("cat", POLYGON), ("black", POLYGON)]


@pytest.mark.parametrize(
    "points", [[], [{"x": 1, "y": 2}], [{"x": "a", "y": 1}] * 3, [{"y": 1}] * 3, [7, 8, 9], [{"x": 1e9, "y": 1}] * 3]
)
def test_polygon_that_can_not_be_read_leaves_its_box(points: Any, tmp_path: Path) -> None:
    assert boxes_of_vott(tmp_path, type="POLYGON", points=points, boundingBox=BOUNDS) == [Box(5, 2, 6, 18, "cat", ())]


def test_each_polygon_of_coco_is_a_part_of_the_outline(tmp_path: Path) -> None:
    (box,) = boxes_of_coco(tmp_path, [[10, 20, 30, 20, 30, 25], [12, 20, 14, 60, 20, 20]], bbox=[9, 19, 22, 42])
    assert box == Box(9, 19, 22, 42, "cat", (((10, 20, 30, 20, 30, 25),), ((12, 20, 14, 60, 20, 20),)))


def test_polygon_of_coco_may_lack_its_list(tmp_path: Path) -> None:
    (box,) = boxes_of_coco(tmp_path, [10, 20, 30, 20, 30, 25], bbox=[9, 19, 22, 42])
    assert box.outline == (((10, 20, 30, 20, 30, 25),),)


@pytest.mark.parametrize("nothing", [None, [], {}, [[]]])
def test_object_without_segmentation_has_no_outline(nothing: Any, tmp_path: Path) -> None:
    assert boxes_of_coco(tmp_path, nothing, bbox=[1, 2, 3, 4]) == [Box(1, 2, 3, 4, "cat")]


@pytest.mark.parametrize(
    "segmentation",
    [
        "polygon",
        7,
        [[1, 2, 3, 4, 5]],
        [["a", 1, 2, 3, 4, 5]],
        [[0, 0, 1, 1, 0, 1], 7],
        {"counts": "abc", "size": [9, 9]},
        {"counts": [40, 40], "size": [9, 9]},
        {"counts": [81], "size": [9, 9]},
        {"counts": [-1, 82], "size": [9, 9]},
        {"counts": [1.5, 79.5], "size": [9, 9]},
        {"counts": [True, 80], "size": [9, 9]},
        {"counts": [0, 81], "size": [9, 9, 1]},
        {"counts": [0, 81], "size": "9x9"},
        {"counts": [0, 81]},
        {"counts": None, "size": [9, 9]},
        {"counts": [], "size": [0, 9]},
        {"counts": [0, 10**30], "size": [10**15, 10**15]},
        {"counts": "o" * 100, "size": [9, 9]},
    ],
)
def test_segmentation_that_can_not_be_read_leaves_the_box(segmentation: Any, tmp_path: Path) -> None:
    assert boxes_of_coco(tmp_path, segmentation, bbox=[1, 2, 3, 4]) == [Box(1, 2, 3, 4, "cat", ())]


def blobs(seed: int, height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    """A mask of rectangles with holes and islands, at least three pixels apart from each other."""
    rng, mask = np.random.default_rng(seed), np.zeros((height, width), np.uint8)
    for _ in range(6):
        x, y = rng.integers(0, width // 4, 2) * 4 % (height - 8)
        mask[y : y + 8, x : x + 16] ^= 1
    return mask


def encoded(mask: NDArray[np.uint8], form: str) -> dict[str, Any]:
    """The run-length mask that COCO's own code makes."""
    flat = mask.flatten(order="F")
    counts = np.diff(np.concatenate(([0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]))).tolist()
    if form == "counts":
        return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}
    compressed = coco_masks.encode(np.asfortranarray(mask))
    return {"size": list(mask.shape), "counts": compressed["counts"].decode()}


@pytest.mark.parametrize("form", ["counts", "text"])
@pytest.mark.parametrize("seed", range(5))
def test_run_length_mask_becomes_rings_around_the_same_pixels(seed: int, form: str) -> None:
    mask = blobs(seed)
    outline = run_lengths.outline(encoded(mask, form))
    assert (Shape.of(Box(0, 0, 1, 1, "cat", outline)).mask(*mask.shape) == mask).all()
    assert len(outline) == 1  # with holes


def test_box_of_a_run_length_mask_is_that_of_its_pixels(tmp_path: Path) -> None:
    mask = np.zeros((30, 50), np.uint8)
    mask[4:9, 10:42] = 1
    assert boxes_of_coco(tmp_path, encoded(mask, "text"))[0] == Box(
        10, 4, 32, 5, "cat", run_lengths.outline(encoded(mask, "counts"))
    )


def test_large_run_length_mask_is_traced_to_a_pixel_of_its_samples_in_no_time() -> None:
    side = 10_000_000
    outline = run_lengths.outline({"size": [side, side], "counts": [side * side // 2, side * side // 2]})
    assert outlines.bounding_box(outline) == pytest.approx(
        (side / 2, 0, side / 2, side), abs=side / run_lengths.MAX_SIDE
    )


def test_crowds_are_skipped_whatever_their_mask(tmp_path: Path) -> None:
    mask = encoded(blobs(0), "counts")
    assert boxes_of_coco(tmp_path, mask, iscrowd=1, bbox=[1, 2, 3, 4]) == []


def test_outline_with_too_many_points_or_runs_leaves_the_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (outlines, run_lengths):
        monkeypatch.setattr(module, "MAX_POINTS", 3)
    triangle = [0, 0, 9, 0, 9, 9]
    assert boxes_of_coco(tmp_path, [triangle])[0].outline == ((tuple(triangle),),)
    assert boxes_of_coco(tmp_path, [triangle] * 2, bbox=[0, 0, 9, 9])[0].outline == ()
    assert boxes_of_coco(tmp_path, {"size": [2, 3], "counts": [1, 1, 1, 3]}, bbox=[0, 0, 9, 9])[0].outline == ()
    assert limits.MAX_POINTS > 3


# Checks before training.

WIDTH, HEIGHT = 100, 60
SQUARE: Outline = (((10, 10, 30, 10, 30, 30, 10, 30),),)
CAT = Box(10, 10, 20, 20, "cat", SQUARE)


@pytest.fixture
def image(tmp_path: Path) -> LabelledImage:
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    return LabelledImage("https://store/a.png", tmp_path / "a.png", [])


def checked(image: LabelledImage, *boxes: Box, **options: Any) -> tuple[list[Box], list[str]]:
    """Boxes and findings, without those about the number of examples."""
    labelled = LabelledImage(image.url, image.path, list(boxes))
    cleaned, findings = clean([labelled], **{"outlines": True} | options)
    return cleaned[0].boxes, [finding.what for finding in findings if finding.kind != "class"]


def test_training_that_learns_outlines_gets_them(image: LabelledImage) -> None:
    assert checked(image, CAT) == ([CAT], [])


def test_training_of_boxes_says_that_outlines_were_not_used(image: LabelledImage) -> None:
    plain, dog = Box(10, 10, 20, 20, "cat"), Box(1, 1, 9, 9, "dog")
    hint = 'only the bounding box was used: "plugin": "segmentation" learns outlines'
    assert checked(image, CAT, dog, outlines=False) == ([plain, dog], [f"1 object has an outline, of which {hint}"])
    several = checked(image, CAT, Box(1, 1, 9, 9, "dog", SQUARE), outlines=False)
    assert several == ([plain, dog], [f"2 objects have outlines, of which {hint}"])
    assert checked(image, dog, outlines=False) == ([dog], [])


def test_rectangles_stand_in_for_outlines_and_are_counted(image: LabelledImage) -> None:
    rectangles = [Box(1, 1, 9, 9, "dog"), Box(50, 1, 9, 9, "dog")]
    assert checked(image, CAT, *rectangles) == (
        [CAT, *rectangles],
        ["2 objects have no outline: the box was used as its outline"],
    )


@pytest.mark.parametrize(
    "outline",
    [
        (),
        (((10, 10, 30, 30),),),
        (((10, 10, 20, 20, 30, 30),),),
        (((10, 10, 10, 10, 10, 10),),),
        (((0.1, 0.7, 0.2, 1.4, 0.3, 2.1, 0.7, 4.9),),),
        (((50, 50, 60, 50, 60, 60),),),
    ],
    ids=["unreadable", "two points", "on a line", "one point", "on a line but for rounding", "elsewhere"],
)
def test_outline_without_area_or_elsewhere_is_replaced_by_the_box(outline: Outline, image: LabelledImage) -> None:
    boxes, findings = checked(image, Box(10, 10, 20, 20, "cat", outline))
    assert boxes == [Box(10, 10, 20, 20, "cat")]
    useless = "an outline that can't be read, has no area or lies elsewhere: the box is used"
    counted = "1 object has no outline: the box was used as its outline"
    assert findings == [f"box of cat at x 10, y 10, 20 x 20 pixels has {useless}", counted]


def test_parts_without_area_are_left_out(image: LabelledImage) -> None:
    outline = (*SQUARE, ((10, 10, 30, 30),), (SQUARE[0][0], (12, 12, 14, 14)))
    boxes, (finding,) = checked(image, Box(10, 10, 20, 20, "cat", outline))
    assert boxes == [Box(10, 10, 20, 20, "cat", (*SQUARE, *SQUARE))]
    assert finding.endswith("has an outline with parts without area: they are left out")


def test_outline_may_cross_itself(image: LabelledImage) -> None:
    eight = Box(10, 10, 20, 20, "cat", (((10, 10, 30, 30, 30, 10, 10, 30),),))  # signed area 0
    assert checked(image, eight) == ([eight], [])


def test_box_is_clipped_and_its_outline_stays_whole(image: LabelledImage) -> None:
    beyond: Outline = (((90, 10, 120, 10, 120, 30, 90, 30),),)
    boxes, findings = checked(image, Box(90, 10, 30, 20, "cat", beyond))
    assert boxes == [Box(90, 10, 10, 20, "cat", beyond)]
    assert "clipped" in findings[0]


def test_outline_is_scaled_with_its_box(image: LabelledImage) -> None:
    annotated = {image.url: (WIDTH / 2, HEIGHT / 2)}
    boxes, _ = checked(image, CAT, annotated_sizes=annotated)
    assert boxes == [Box(20, 20, 40, 40, "cat", (((20, 20, 60, 20, 60, 60, 20, 60),),))]
    assert annotated_size.scaled(CAT, (2, 0.5)).outline == (((20, 5, 60, 5, 60, 15, 20, 15),),)


def test_duplicate_box_with_an_outline_precedes_the_one_without(image: LabelledImage) -> None:
    plain = Box(10, 10, 20, 20, "cat")
    for boxes in ((CAT, plain), (plain, CAT), (CAT, CAT)):
        assert checked(image, *boxes) == ([CAT], ["1 duplicate box removed"])


def test_findings_about_all_objects_belong_to_the_boxes(image: LabelledImage) -> None:
    findings = clean([LabelledImage(image.url, image.path, [CAT])], outlines=False)[1]
    assert findings[0] == Finding("box", "", findings[0].what)
