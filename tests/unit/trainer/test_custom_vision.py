"""Custom Vision's images as its API and its SDKs return them, and their variants."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.json_documents import CAT, FOLDER, boxes, lines, parsed, refusal, whats

REGION = {"regionId": "1", "tagName": "cat", "tagId": "2", "left": 0.1, "top": 0.2, "width": 0.3, "height": 0.4}


def custom(regions: Any = None, tags: Any = (), **fields: Any) -> dict[str, Any]:
    record = {
        "id": "0c1",
        "width": 640,
        "height": 480,
        "originalImageUri": "https://iris/o-1?sv=1&sig=SECRET",
        "regions": regions,
        "tags": list(tags),
    }
    return record | fields


def snake(record: dict[str, Any]) -> dict[str, Any]:
    """As the Python SDK names the fields."""
    region = {"region_id": "1", "tag_name": "cat", "left": 0.1, "top": 0.2, "width": 0.3, "height": 0.4}
    return {
        "id": record["id"],
        "width": 640,
        "height": 480,
        "original_image_uri": record["originalImageUri"],
        "regions": [region],
    }


@pytest.mark.parametrize(
    "document",
    [
        [custom([REGION])],
        {"images": [custom([REGION])]},
        {"value": [custom([REGION])]},
        lines(custom([REGION]), custom([REGION])),
        [snake(custom())],
    ],
    ids=["list", "images", "value", "lines", "Python"],
)
@pytest.mark.parametrize("annotation_format", ["auto", "custom-vision"])
def test_custom_vision_gives_boxes_in_fractions(document: Any, annotation_format: str, tmp_path: Path) -> None:
    (image,) = parsed(document, tmp_path, images_url=None, annotation_format=annotation_format).images
    assert image.boxes[0] == CAT
    assert image.size == (640, 480)
    assert image.url == "https://iris/o-1?sv=1&sig=SECRET"


def test_name_of_the_image_comes_first_with_images_url(tmp_path: Path) -> None:
    (image,) = parsed([custom([REGION], fileName="a.jpg")], tmp_path).images
    assert image.url == f"{FOLDER}/a.jpg"
    assert "https://iris/o-1?sv=1&sig=SECRET" in image.others


def test_tags_are_classes_if_there_are_no_regions(tmp_path: Path) -> None:
    tags = [{"tagId": "2", "tagName": "cat"}]
    (image,) = parsed([custom(tags=tags)], tmp_path).images
    assert image.label == "cat"
    assert "expected one class for each image" in refusal([custom(tags=[*tags, {"tagName": "dog"}])], tmp_path)


def test_image_with_a_tag_alone_is_no_image_without_objects(tmp_path: Path) -> None:
    tags = [{"tagId": "2", "tagName": "cat"}]
    found = parsed([custom([REGION], tags), custom([], tags, id="0c2", originalImageUri="https://iris/o-2")], tmp_path)
    assert [(image.label, len(image.boxes)) for image in found.images] == [(None, 1)]
    assert whats(found) == ["has a tag, but no region, in a file with regions: left out"]


def test_sides_may_be_in_an_object_of_their_own(tmp_path: Path) -> None:
    region = {"tagName": "cat", "boundingBox": {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.4}}
    assert boxes([custom([region])], tmp_path) == [CAT]


def test_images_without_tags_are_not_annotated(tmp_path: Path) -> None:
    found = parsed([custom([REGION]), custom(originalImageUri="https://iris/o-2")], tmp_path)
    assert len(found.images) == 1
    assert whats(found) == ["images with neither a region nor a tag are left out: 1"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([custom([REGION | {"tagName": None}])], "region 1 of image '0c1': expected a class name, found nothing"),
        ([custom([REGION | {"width": -1}])], "region 1 of image '0c1': expected width to be at least 0, found -1"),
        (
            [custom([REGION | {"left": 64, "top": 96, "width": 192, "height": 192}])],
            "region 1 of image '0c1': expected fractions of the image, from 0 to 1, found the corners 64, 96, 256, 288",
        ),
        (
            [custom([REGION], originalImageUri=None)],
            "image '0c1': expected originalImageUri to be the URL of the image, found nothing",
        ),
    ],
)
def test_invalid_part_of_custom_vision_is_named(document: Any, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(document, tmp_path)
