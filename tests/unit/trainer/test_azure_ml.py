"""Azure Machine Learning's JSON lines, and their variants."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.json_documents import CAT, corners, lines, parsed, refusal, whats

OBJECT = {"label": "cat", "topX": 0.1, "topY": 0.2, "bottomX": 0.4, "bottomY": 0.6, "isCrowd": 0}


def azure(found: Any, url: str = "AmlDatastore://pets/photos/a.jpg") -> dict[str, Any]:
    return {"image_url": url, "image_details": {"format": "jpg", "width": "640px", "height": 480}, "label": found}


@pytest.mark.parametrize(
    "document",
    [lines(azure([OBJECT])), lines(azure(OBJECT)), [azure([OBJECT])], lines(azure([OBJECT])).replace("\n", "\r\n\r\n")],
)
@pytest.mark.parametrize("annotation_format", ["auto", "azure-ml"])
def test_azure_ml_gives_boxes_in_fractions(document: Any, annotation_format: str, tmp_path: Path) -> None:
    (image,) = parsed(document, tmp_path, annotation_format=annotation_format).images
    assert corners(image.boxes[0]) == pytest.approx(corners(CAT))
    assert image.boxes[0].normalized
    assert image.size == (640, 480)


def test_polygons_and_images_without_objects_of_azure_ml(tmp_path: Path) -> None:
    polygon = {"label": 3, "isCrowd": "false", "polygon": [[0.1, 0.2, 0.4, 0.2, 0.4, 0.6]]}
    found = parsed(lines(azure([polygon]), azure([], "AmlDatastore://pets/b.jpg")), tmp_path)
    (box,) = found.images[0].boxes
    assert corners(box) == pytest.approx(corners(CAT))
    assert (box.label, box.normalized) == ("3", True)
    assert found.images[1].boxes == []


def test_classes_of_azure_ml(tmp_path: Path) -> None:
    found = parsed(
        lines(azure("cat"), azure(["dog"], "AmlDatastore://pets/b.jpg"), azure(7, "AmlDatastore://pets/c.jpg")),
        tmp_path,
    )
    assert [image.label for image in found.images] == ["cat", "dog", "7"]
    assert "expected one class for each image" in refusal(lines(azure(["cat", "dog"])), tmp_path)


def test_few_groups_of_azure_ml_are_left_out_many_are_objects(tmp_path: Path) -> None:
    group = OBJECT | {"isCrowd": 1, "topX": 0.2}
    few = parsed(lines(azure([OBJECT] * 9 + [group])), tmp_path)
    assert whats(few) == ["is a group of objects (isCrowd 1), not a single one: left out"]
    many = parsed(lines(azure([OBJECT, group])), tmp_path)
    assert len(many.images[0].boxes) == 2
    assert whats(many) == ["isCrowd is 1 for 1 of 2 objects: they are read as single objects"]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("AmlDatastore://pets/photos/a.jpg", "photos/a.jpg"),
        ("azureml://subscriptions/1/resourcegroups/2/workspaces/3/datastores/pets/paths/photos/a.jpg", "photos/a.jpg"),
        ("azureml://datastores/pets/paths/a.jpg", "a.jpg"),
    ],
)
def test_path_in_a_datastore_is_found_below_images_url(url: str, path: str, tmp_path: Path) -> None:
    (image,) = parsed(lines(azure([OBJECT], url)), tmp_path, images_url="https://store/container").images
    assert f"https://store/container/{path}" in [image.url, *image.others]
    assert "is a path in a datastore of Azure Machine Learning: set the parameter imagesUrl" in refusal(
        lines(azure([OBJECT], url)), tmp_path, images_url=None
    )


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            lines(azure([OBJECT | {"topX": "left"}])),
            "object 1 of image 'AmlDatastore://pets/photos/a.jpg': expected topX to be a number",
        ),
        (
            lines(azure([OBJECT | {"label": ""}])),
            "object 1 of image 'AmlDatastore://pets/photos/a.jpg': expected a class name",
        ),
        (
            lines(azure([OBJECT | {"topX": 10, "topY": 20, "bottomX": 40, "bottomY": 60}])),
            "expected fractions of the image, from 0 to 1, found the corners 10, 20, 40, 60",
        ),
        (lines(azure(None)), "image 'AmlDatastore://pets/photos/a.jpg': expected a class name, found nothing"),
        (
            lines(azure([OBJECT]), {"label": "cat"}),
            "image number 2: expected image_url to be the URL of the image, found nothing",
        ),
        (lines(azure([OBJECT])) + '{"image_url": ', "line 2 column 15: expected JSON"),
        (lines(azure([OBJECT])) + "x", "line 2 column 1: expected JSON"),
    ],
)
def test_invalid_part_of_azure_ml_is_named(document: str, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(document, tmp_path)
