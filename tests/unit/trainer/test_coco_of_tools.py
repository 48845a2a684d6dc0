"""COCO files as each tool writes them: one image with a cat (48, 240, 195, 200) and, where the tool marks it, an image without objects."""

import json
from pathlib import Path
from typing import Any

import pytest

from vott_trainer.annotations import read

CAT = [48, 240, 195, 200]
POLYGON = [[48, 240, 243, 240, 243, 440, 48, 440]]
INFO = {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""}


def cvat() -> dict[str, Any]:
    image = {
        "id": 1,
        "width": 640,
        "height": 480,
        "file_name": "1.jpg",
        "license": 0,
        "flickr_url": "",
        "coco_url": "",
        "date_captured": 0,
    }
    mask = {"counts": [480 * 48 + 240, *[200, 280] * 194, 200, 480 * 396 + 40 + 480], "size": [480, 640]}
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "segmentation": mask,
        "area": 39000.0,
        "bbox": CAT,
        "iscrowd": 1,
    }
    category = {"id": 1, "name": "cat", "supercategory": ""}
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}], "info": INFO, "categories": [category],
        "images": [image, image | {"id": 2, "file_name": "2.jpg"}], "annotations": [annotation | {"attributes": {"occluded": False}}],
    }  # fmt: skip


def roboflow() -> dict[str, Any]:
    """Category 0 is the parent of the others."""
    image = {
        "id": 0,
        "license": 1,
        "file_name": "1.jpg",
        "height": 480,
        "width": 640,
        "date_captured": "2024-01-01",
        "extra": {"name": "photo.jpg"},
    }
    annotation = {
        "id": 0,
        "image_id": 0,
        "category_id": 1,
        "bbox": CAT,
        "area": 39000,
        "segmentation": [],
        "iscrowd": 0,
    }
    categories = [{"id": 0, "name": "pets", "supercategory": "none"}, {"id": 1, "name": "cat", "supercategory": "pets"}]
    return {
        "info": INFO,
        "categories": categories,
        "images": [image, image | {"id": 1, "file_name": "2.jpg"}],
        "annotations": [annotation],
    }


def label_studio() -> dict[str, Any]:
    image = {"width": 640, "height": 480, "id": 0, "file_name": "1.jpg"}
    annotation = {
        "id": 0,
        "image_id": 0,
        "category_id": 0,
        "segmentation": [],
        "bbox": CAT,
        "ignore": 0,
        "iscrowd": 0,
        "area": 39000,
    }
    return {
        "images": [image, image | {"id": 1, "file_name": "2.jpg"}],
        "categories": [{"id": 0, "name": "cat"}],
        "annotations": [annotation],
    }


def vgg_image_annotator() -> dict[str, Any]:
    """Ids of annotations are texts, those of images numbers."""
    image = {
        "id": 1,
        "width": 640,
        "height": 480,
        "file_name": "1.jpg",
        "license": 0,
        "flickr_url": "1.jpg",
        "coco_url": "1.jpg",
        "date_captured": "",
    }
    annotation = {
        "id": 1,
        "image_id": "1",
        "category_id": 1,
        "segmentation": POLYGON[0],
        "area": 39000,
        "bbox": CAT,
        "iscrowd": 0,
    }
    category = {"supercategory": "animal", "id": 1, "name": "cat"}
    return {
        "info": INFO,
        "images": [image, image | {"id": 2, "file_name": "2.jpg"}],
        "annotations": [annotation],
        "categories": [category],
    }


def pylabel() -> dict[str, Any]:
    annotation = {
        "id": 0,
        "image_id": 0,
        "category_id": "1",
        "segmentation": "",
        "area": 39000.0,
        "bbox": [48.0, 240.0, 195.0, 200.0],
        "iscrowd": 0.0,
    }
    images = [
        {"id": key, "folder": "", "file_name": f"{key + 1}.jpg", "width": 640, "height": 480, "depth": 3}
        for key in (0, 1)
    ]
    return {
        "images": images,
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "cat", "supercategory": ""}],
    }


def azure_ml() -> dict[str, Any]:
    images = [
        {"id": key, "width": 640.0, "height": 480.0, "file_name": f"{key}.jpg", "coco_url": f"AmlDatastore://pets/{key}.jpg", "absolute_url": f"https://store/{key}.jpg"}
        for key in (1, 2)
    ]  # fmt: skip
    annotation = {
        "id": 1,
        "category_id": 1,
        "image_id": 1,
        "area": 0.127,
        "bbox": [0.075, 0.5, 0.3046875, 0.4166666666666667],
    }
    return {"images": images, "annotations": [annotation], "categories": [{"id": 1, "name": "cat"}]}


@pytest.mark.parametrize(
    "tool", [cvat, roboflow, label_studio, vgg_image_annotator, pylabel, azure_ml], ids=lambda tool: tool.__name__
)
def test_export_is_read(tool: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps(tool()), encoding="utf-8")
    first, second = read(tmp_path / "file", "a.json", annotations_url="https://store/a.json").images
    assert (first.url, second.url, first.size) == ("https://store/1.jpg", "https://store/2.jpg", (640, 480))
    (box,) = first.boxes
    across, down = (640, 480) if box.normalized else (1, 1)
    assert (box.x * across, box.y * down, box.width * across, box.height * down) == pytest.approx(CAT)
    assert (box.label, second.boxes) == ("cat", [])
