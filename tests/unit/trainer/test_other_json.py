"""JSON that is not read is refused by its name."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.json_documents import lines, refusal


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (
            [
                {
                    "image": "a.jpg",
                    "annotations": [{"label": "cat", "coordinates": {"x": 2, "y": 1, "width": 3, "height": 1}}],
                }
            ],
            "CreateML",
        ),
        ({"_via_settings": {}, "_via_img_metadata": {}}, "VGG Image Annotator"),
        (
            {"project": {"pid": "1"}, "config": {}, "attribute": {}, "file": {}, "view": {}, "metadata": {}},
            "VGG Image Annotator",
        ),
        (
            {"id": "1", "project": "p", "iteration": "i", "predictions": [{"tagName": "cat", "boundingBox": {}}]},
            "Custom Vision's predictions",
        ),
        (
            {"predictions": [{"x": 1, "y": 2, "confidence": 0.9, "class": "cat"}], "image": {"width": 9, "height": 9}},
            "Roboflow's predictions",
        ),
        ({"a.jpg-1": {"filename": "a.jpg", "size": -1, "regions": [], "file_attributes": {}}}, "VGG Image Annotator"),
        ({"version": "5", "shapes": [], "imagePath": "a.jpg"}, "LabelMe"),
        ({"infos": {}, "categories": {"label": {}}, "items": []}, "Datumaro"),
        ({"image": {"image_id": 1, "file_name": "a.jpg"}, "annotations": [{"bbox": [1, 2, 3, 4]}]}, "Segment Anything"),
        ({"annotation": {"filename": "a.jpg", "object": [{"name": "cat"}]}}, "ADE20K"),
        ([{"dataset": "MPI", "img_paths": "a.jpg", "joint_self": []}], "MPII"),
        (lines({"imageGcsUri": "gs://pets/a.jpg"}, {"imageGcsUri": "gs://pets/b.jpg"}), "Vertex AI"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.9}], "COCO results"),
    ],
)
def test_json_of_other_tools_is_refused_by_its_name(document: Any, name: str, tmp_path: Path) -> None:
    assert f"a.json is JSON of {name}" in refusal(document, tmp_path)


@pytest.mark.parametrize("document", [{}, [], {"labels": ["cat"]}, [7], "7"])
def test_unknown_json_is_refused(document: Any, tmp_path: Path) -> None:
    assert "a.json is JSON, but neither a VoTT export" in refusal(
        document if document != "7" else '{"a": 7} {}', tmp_path
    )
