"""COCO as other tools write it: ids, groups, rotated boxes, boxes in fractions, and files that are COCO for another purpose."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from vott_trainer.annotations import Annotations, Box, read
from vott_trainer.annotations.findings import Finding
from vott_trainer.errors import BadAnnotationsError

CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
BOXES = {"cat": Box(10, 20, 30, 40, "cat"), "dog": Box(50, 60, 8, 9, "dog")}


def images(count: int = 2, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 480} | fields
        for number in range(1, count + 1)
    ]


def cat(image: Any = 1, **fields: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": 1, "bbox": [10, 20, 30, 40]} | fields


def parsed(annotations: list[Any], tmp_path: Path, images_url: str | None = None, **changes: Any) -> Annotations:
    document = {"images": images(), "categories": CATEGORIES, "annotations": annotations} | changes
    (tmp_path / "file").write_text(json.dumps(document), encoding="utf-8")
    return read(tmp_path / "file", "a.json", annotations_url="https://store/file", images_url=images_url)


def urls(tmp_path: Path, images_url: str | None = None, **image: Any) -> list[str]:
    """Return the URLs that are tried for an image."""
    (found,) = parsed([cat()], tmp_path, images_url, images=[{"id": 1} | image]).images
    return [found.url, *found.others]


def boxes(annotations: list[Any], tmp_path: Path, **changes: Any) -> list[list[Box]]:
    return [image.boxes for image in parsed(annotations, tmp_path, **changes).images]


def refusal(annotations: list[Any], tmp_path: Path, **changes: Any) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(annotations, tmp_path, **changes)
    return str(error.value)


@pytest.mark.parametrize("of_image", [7, 7.0, "7", "7.0", " 7"])
@pytest.mark.parametrize("of_annotation", [7, 7.0, "7", "7.0"])
def test_one_id_may_be_written_in_several_ways(of_image: Any, of_annotation: Any, tmp_path: Path) -> None:
    found = boxes([cat(of_annotation)], tmp_path, images=images(1, id=of_image))
    assert found == [[BOXES["cat"]]]
    annotation = cat(category_id=of_annotation)
    assert boxes([annotation], tmp_path, categories=[{"id": of_image, "name": "cat"}]) == [[BOXES["cat"]], []]


def test_ids_of_text_are_ids(tmp_path: Path) -> None:
    found = boxes(
        [cat("scan-7.0"), cat("07")],
        tmp_path,
        images=[*images(1, id="scan-7.0"), *images(1, id="07", file_name="b.jpg")],
    )
    assert found == [[BOXES["cat"]], [BOXES["cat"]]]
    assert "annotation number 1: expected image_id to be the id of a usable image, found '7'" in refusal(
        [cat(7)], tmp_path, images=images(1, id="07")
    )


@pytest.mark.parametrize("wrong", [True, None, [1], {}, 1e300])
def test_other_values_are_no_ids(wrong: Any, tmp_path: Path) -> None:
    assert "annotation number 1: expected image_id to be " in refusal([cat(wrong)], tmp_path)


def test_names_of_categories_may_be_numbers_and_stand_in_for_their_ids(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": 2}, {"id": 2, "name": 1.5}, {"id": 3, "name": "cat"}]
    annotations = [cat(category_id=key) for key in (1, "2", "1.5", "cat")]
    assert [box.label for box in boxes(annotations, tmp_path, categories=categories)[0]] == ["2", "1.5", "1.5", "cat"]


@pytest.mark.parametrize("categories", [None, []])
def test_annotations_may_name_their_classes_without_categories(categories: Any, tmp_path: Path) -> None:
    annotations = [cat(category_id="cat"), cat(category_id="dog")]
    assert parsed(annotations, tmp_path, categories=categories).labels == ["cat", "dog"]
    assert "expected category_id to be the id of a usable category, found '1'" in refusal(
        [cat()], tmp_path, categories=[]
    )
    assert "a.json expected categories to be a list, found nothing" in refusal([cat()], tmp_path, categories=None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"images": [*images(), *images(1, file_name="b.jpg")]}, "a.json has two images with the id '1': '1.jpg' and 'b.jpg'"),
        ({"images": [*images(), *images(1, id="1.0", file_name="b.jpg")]}, "has two images with the id '1.0'"),
        ({"categories": [*CATEGORIES, {"id": "2", "name": "cow"}]}, "a.json has two categories with the id '2': 'dog' and 'cow'"),
    ],
)  # fmt: skip
def test_an_id_of_two_items_is_refused(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert expected in refusal([cat()] * 100, tmp_path, **changes)


def test_repeated_items_and_ids_of_annotations_are_no_harm(tmp_path: Path) -> None:
    again = images(width=320)
    found = parsed([cat(id=1), cat(2, id=1)], tmp_path, images=images() + again, categories=CATEGORIES * 2)
    assert [image.boxes for image in found.images] == [[BOXES["cat"]], [BOXES["cat"]]]
    assert found.findings == []


@pytest.mark.parametrize("crowd", [1, 1.0, True, "1"])
def test_a_few_groups_are_left_out_and_reported(crowd: Any, tmp_path: Path) -> None:
    found = parsed([cat()] * 9 + [cat(2, iscrowd=crowd, id=7)], tmp_path)
    assert len(found.images[0].boxes) == 9
    assert found.images[1].boxes == []
    assert found.findings == [
        Finding("line", "a.json annotation '7'", "is a group of objects (iscrowd 1), not a single one: left out")
    ]


@pytest.mark.parametrize(
    ("single", "groups", "fields", "reason"),
    [
        (0, 3, {}, "too many to be groups of objects"),
        (8, 1, {}, "too many to be groups of objects"),
        (20, 1, {"attributes": {"occluded": False}}, "as CVAT marks every mask"),
    ],
    ids=["all", "more than a tenth", "CVAT's"],
)
def test_masks_that_are_all_marked_as_groups_are_objects(
    single: int, groups: int, fields: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    found = parsed([cat(2)] * single + [cat(iscrowd=1, **fields)] * groups, tmp_path)
    assert found.images[0].boxes == [BOXES["cat"]] * groups
    assert [finding.what for finding in found.findings] == [
        f"iscrowd is 1 for {groups} of {single + groups} annotations, {reason}: they are read as single objects"
    ]


@pytest.mark.parametrize("iscrowd", [0, 0.0, False, "0", None, "no"])
def test_other_values_of_iscrowd_mean_a_single_object(iscrowd: Any, tmp_path: Path) -> None:
    found = parsed([cat(iscrowd=iscrowd)], tmp_path)
    assert found.images[0].boxes == [BOXES["cat"]]
    assert found.findings == []


SQUARE = [[10, 20, 40, 20, 40, 60, 10, 60]]
MASK = {"size": [100, 50], "counts": [1020, *[40, 60] * 29, 40, 1040]}  # columns 10 to 39, rows 20 to 59


@pytest.mark.parametrize("bbox", [None, [], [0, 0, 0, 0], [10, 20, -30, 40], "none"])
@pytest.mark.parametrize(
    "segmentation",
    [SQUARE, SQUARE[0], [[10, 20], [40, 20], [40, 60], [10, 60]], [[[10, 20], [40, 20], [40, 60], [10, 60]]], MASK],
    ids=["polygon", "flat", "points", "lists of points", "mask"],
)
def test_outline_stands_in_for_a_missing_or_empty_box(bbox: Any, segmentation: Any, tmp_path: Path) -> None:
    (box,) = boxes([cat(bbox=bbox, segmentation=segmentation)], tmp_path)[0]
    assert (box.x, box.y, box.width, box.height) == (10, 20, 30, 40)
    assert box.outline


def test_boxes_in_fractions_are_told_by_the_whole_file(tmp_path: Path) -> None:
    annotations = [cat(bbox=[0.25, 0.5, 0.1, 0.2]), cat(bbox=[0, 0, 1, 1], segmentation=[[0, 0, 1, 0, 1, 1]])]
    found = parsed(annotations, tmp_path)
    whole = Box(0, 0, 1, 1, "cat", (((0, 0, 1, 0, 1, 1),),), normalized=True)
    assert found.images[0].boxes == [Box(0.25, 0.5, 0.1, 0.2, "cat", normalized=True), whole]
    assert found.findings == [
        Finding(
            "file", "a.json", "the boxes are in fractions of their images: they are multiplied by the images' sizes"
        )
    ]
    findings = parsed([*annotations * 10, cat(bbox=[0.5, 0.5, 3, 4])], tmp_path).findings
    assert findings[1] == Finding(
        "line",
        "a.json annotation number 21",
        "expected fractions of the image, from 0 to 1, found the corners 0.5, 0.5, 3.5, 4.5",
    )
    in_pixels = parsed([*annotations, cat(bbox=[0.5, 0.5, 3, 4])], tmp_path)
    assert not any(box.normalized for box in in_pixels.images[0].boxes)
    assert boxes([cat(bbox=[0, 0, 1, 1])], tmp_path)[0] == [Box(0, 0, 1, 1, "cat")]  # data.checks decides


@pytest.mark.parametrize(
    ("segmentation", "ring"),
    [
        ([[64, 48, 128, 48, 128, 96]], (0.1, 0.1, 0.2, 0.1, 0.2, 0.2)),
        ({"size": [10, 10], "counts": [11, 1, 88]}, (0.1, 0.15, 0.15, 0.1, 0.15, 0.2, 0.15, 0.2)),
    ],
    ids=["polygon", "mask"],
)
def test_outline_in_pixels_beside_a_box_in_fractions_becomes_fractions(
    segmentation: Any, ring: Any, tmp_path: Path
) -> None:
    (box,) = boxes([cat(bbox=[0.1, 0.1, 0.1, 0.1], segmentation=segmentation)], tmp_path)[0]
    assert box.outline
    assert sorted(box.outline[0][0]) == pytest.approx(sorted(ring))


def test_only_outlines_in_fractions(tmp_path: Path) -> None:
    (box,) = boxes([cat(bbox=None, segmentation=[[0.1, 0.2, 0.4, 0.2, 0.4, 0.6]])], tmp_path)[0]
    assert (box.x, box.y, box.width, box.height) == pytest.approx((0.1, 0.2, 0.3, 0.4))
    assert box.normalized


ROOT = math.sqrt(2)


@pytest.mark.parametrize(
    ("annotation", "expected", "how"),
    [
        (cat(bbox=[40, 40, 20, 20], attributes={"rotation": 45}), (50 - 10 * ROOT, 50 - 10 * ROOT, 20 * ROOT, 20 * ROOT), ""),
        (cat(bbox=[40, 45, 20, 10], attributes={"rotation": 90.0}), (45, 40, 10, 20), ""),
        (cat(bbox=[50, 50, 20, 10, 90]), (45, 40, 10, 20), " (bbox is read as centre, size and angle in degrees)"),
        (cat(bbox=[50, 50, 20, 10, math.pi / 2]), (45, 40, 10, 20), " (bbox is read as centre, size and angle in radians)"),
        (cat(bbox=[2, 3, 20, 10, 180]), (2, 3, 20, 10), " (bbox is read as upper left corner, size and angle in degrees)"),
        (cat(bbox=[50, 50, 20, 10, -45], segmentation=SQUARE), (10, 20, 30, 40), " (bbox is read as centre, size and angle in degrees)"),
    ],
    ids=["CVAT", "CVAT upright", "five values", "radians", "corner", "with outline"],
)  # fmt: skip
def test_rotated_box_becomes_the_upright_one_around_it(
    annotation: Any, expected: Any, how: str, tmp_path: Path
) -> None:
    found = parsed([annotation], tmp_path)
    (box,) = found.images[0].boxes
    assert (box.x, box.y, box.width, box.height) == pytest.approx(expected)
    assert box.outline
    assert [finding.what for finding in found.findings] == [
        f"around rotated boxes{how}, the upright box is used: 1 of 1"
    ]


def test_four_corners_are_an_outline(tmp_path: Path) -> None:
    (box,) = boxes([cat(bbox=[20, 10, 30, 20, 20, 30, 10, 20])], tmp_path)[0]
    assert box == Box(10, 10, 20, 20, "cat", (((20, 10, 30, 20, 20, 30, 10, 20),),))


@pytest.mark.parametrize("rotation", [0, 0.0, 360, None, "", [45], "none"])
def test_box_without_an_angle_stays_as_it_is(rotation: Any, tmp_path: Path) -> None:
    found = parsed([cat(attributes={"rotation": rotation}), cat(attributes=None)], tmp_path)
    assert found.images[0].boxes == [BOXES["cat"]] * 2
    assert found.findings == []


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (
            {"image_id": 1, "file_name": "1.png", "segments_info": [{"id": 7}]},
            "a.json is COCO for panoptic segmentation",
        ),
        ({"image_id": 1, "category_id": 1, "keypoints": [1, 2, 2]}, "a.json is COCO with keypoints alone"),
        ({"image_id": 1, "category_id": 0, "caption": "a cat"}, "a.json is COCO with captions, which have no boxes"),
    ],
)
def test_coco_for_another_purpose_is_refused_by_its_name(annotation: Any, expected: str, tmp_path: Path) -> None:
    assert expected in refusal([annotation], tmp_path)


def test_boxes_beside_keypoints_are_read(tmp_path: Path) -> None:
    assert boxes([cat(keypoints=[1, 2, 2])], tmp_path) == [[BOXES["cat"]], []]


def test_annotations_without_any_shape_are_classes_of_images(tmp_path: Path) -> None:
    annotations = [{"image_id": 1, "category_id": 1, "area": 0.0}, {"image_id": 2, "category_id": 2, "bbox": None}]
    assert [image.label for image in parsed(annotations, tmp_path).images] == ["cat", "dog"]
    assert "expected bbox to be [x, y, width, height], found nothing" in refusal([*annotations, cat()], tmp_path)


@pytest.mark.parametrize("bbox", [{"x": 1, "y": 2, "width": 3, "height": 4}, "[1, 2, 3, 4]", [1, 2, 3]])
def test_boxes_that_can_not_be_read_do_not_make_classes_of_images(bbox: Any, tmp_path: Path) -> None:
    assert "annotation number 1: expected bbox to be [x, y, width, height], found" in refusal(
        [cat(bbox=bbox)], tmp_path
    )


AS_CORNERS: dict[str, Any] = {"bbox": [10, 20, 40, 60]}


@pytest.mark.parametrize(
    "annotation",
    [
        cat(area=1200.0) | AS_CORNERS,
        cat(segmentation=SQUARE) | AS_CORNERS,
        cat(area=7, segmentation=SQUARE) | AS_CORNERS,
    ],
    ids=["area", "polygon", "area of a mask"],
)
def test_two_corners_are_told_by_areas_and_outlines(annotation: dict[str, Any], tmp_path: Path) -> None:
    found = parsed([annotation], tmp_path)
    (box,) = found.images[0].boxes
    assert (box.x, box.y, box.width, box.height) == (10, 20, 30, 40)
    assert [finding.what for finding in found.findings] == [
        "bbox is read as two corners, x1, y1, x2, y2: the areas or outlines are those of such boxes"
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"area": 2400},
        {"area": "none"},
        {"segmentation": [[10, 20, 50, 20, 50, 80]]},
        {"area": 1200, "bbox": [50, 20, 40, 60]},
    ],
    ids=["nothing tells", "area", "no number", "polygon", "no corners"],
)
def test_boxes_are_no_corners_without_evidence(fields: dict[str, Any], tmp_path: Path) -> None:
    (box,) = boxes([cat() | AS_CORNERS | fields], tmp_path)[0]
    assert (box.width, box.height) == (40, 60)


def test_one_annotation_does_not_make_corners_of_all(tmp_path: Path) -> None:
    annotations = [cat(area=1200) | AS_CORNERS, *[cat(area=1200)] * 8]
    assert boxes(annotations, tmp_path)[0][1:] == [BOXES["cat"]] * 8


def test_images_alone_have_no_object(tmp_path: Path) -> None:
    assert "a.json has no annotated object" in refusal([], tmp_path)
    assert "a.json has no annotated object" in refusal([], tmp_path, categories=[])


def test_image_without_annotations_has_no_objects(tmp_path: Path) -> None:
    assert boxes([cat(2)], tmp_path) == [[], [BOXES["cat"]]]


OWN, THEIRS = "https://store/a.jpg", "http://images.example/train/000001.jpg"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({"file_name": "a.jpg"}, [OWN]),
        ({"file_name": "a.jpg", "coco_url": ""}, [OWN]),
        ({"file_name": "a.jpg", "coco_url": 0, "flickr_url": THEIRS}, [OWN]),
        ({"file_name": "a.jpg", "coco_url": THEIRS}, [OWN, THEIRS]),
        ({"file_name": "a.jpg", "coco_url": THEIRS * 1000}, [OWN]),
        ({"file_name": "a.jpg", "coco_url": "https://store/b.jpg"}, ["https://store/b.jpg", OWN]),
        ({"file_name": "a.jpg", "coco_url": "AmlDatastore://p/a.jpg", "absolute_url": "https://store/pets/a.jpg"}, ["https://store/pets/a.jpg", OWN]),
        ({"file_name": "C:\\photos\\a.jpg", "coco_url": THEIRS}, [THEIRS]),
        ({"coco_url": THEIRS}, [THEIRS]),
        ({"file_name": THEIRS}, [THEIRS]),
    ],
    ids=["name", "empty", "number", "theirs", "too long", "own server", "Azure", "local name", "URL alone", "URL as name"],
)  # fmt: skip
def test_own_images_come_before_those_of_somebody_elses_server(image: Any, expected: list[str], tmp_path: Path) -> None:
    assert urls(tmp_path, **image) == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({"file_name": "a.jpg", "coco_url": THEIRS}, ["https://mine/x/a.jpg", THEIRS]),
        ({"file_name": "a.jpg", "coco_url": "https://store/b.jpg"}, ["https://mine/x/a.jpg", "https://store/b.jpg"]),
        ({"file_name": "a.jpg", "coco_url": "AmlDatastore://pets/photos/a.jpg"}, ["https://mine/x/a.jpg", "https://mine/x/photos/a.jpg"]),
    ],
)  # fmt: skip
def test_images_url_comes_before_the_urls_in_the_file(image: Any, expected: list[str], tmp_path: Path) -> None:
    assert urls(tmp_path, "https://mine/x", **image) == expected


@pytest.mark.parametrize(
    "name",
    [
        "../../label-studio/data/media/upload/4/cb0618f6-a.png",
        "..\\..\\label-studio\\label-studio\\media\\upload\\4\\cb0618f6-a.png",
        "images/cb0618f6-a.png",
        "images\\cb0618f6-a.png",
    ],
)
def test_label_studios_images_lie_beside_its_coco(name: str, tmp_path: Path) -> None:
    assert urls(tmp_path, file_name=name)[0] == "https://store/images/cb0618f6-a.png"
    assert "https://store/a.png" in urls(tmp_path, file_name=name)
    assert "https://mine/x/cb0618f6-a.png" in urls(tmp_path, "https://mine/x", file_name=name)
    assert "https://store/images/cb0618f6-a.png" in urls(tmp_path, file_name="images\\1/cb0618f6-a.png")


def test_folders_above_the_annotations_are_no_server(tmp_path: Path) -> None:
    assert urls(tmp_path, file_name="../images/a.jpg") == ["https://store/images/a.jpg"]
