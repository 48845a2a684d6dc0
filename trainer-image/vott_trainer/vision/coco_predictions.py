"""Predictions as COCO's JSON, which this trainer and labelling tools read as annotations (https://cocodataset.org/#format-data)."""

from collections.abc import Sequence
from typing import Any

from vott_trainer.annotations import Box, Outline
from vott_trainer.plugin_api import Prediction
from vott_trainer.vision.mask_outlines import run_lengths
from vott_trainer.vision.shapes import Shape

DECIMALS = 2  # of a pixel


def coco_document(file_name: str, size: tuple[int, int], predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Return `images`, `categories` and `annotations`; each annotation also has its `score`.

    Args:
        size: width and height of the image in pixels.
    """
    labels = sorted({prediction.label for prediction in predictions})
    return {
        "images": [{"id": 1, "file_name": file_name, "width": size[0], "height": size[1]}],
        "categories": [{"id": number, "name": label} for number, label in enumerate(labels, start=1)],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": labels.index(prediction.label) + 1,
                "score": round(prediction.score, 4),
                **(_place(prediction.box, size) if prediction.box else {}),
            }
            for number, prediction in enumerate(predictions, start=1)
        ],
    }


def _place(box: Box, size: tuple[int, int]) -> dict[str, Any]:
    bounds = [round(value, DECIMALS) for value in (box.x, box.y, box.width, box.height)]
    place = {"bbox": bounds, "area": round(box.width * box.height, DECIMALS), "iscrowd": 0}
    return place | (_segmentation(box, box.outline, size) if box.outline else {})


def _segmentation(box: Box, outline: Outline, size: tuple[int, int]) -> dict[str, Any]:
    """Return polygons; COCO's have no holes, so an outline with some becomes a run-length mask."""
    mask = Shape.of(box).mask(size[1], size[0])
    polygons = [[round(value, DECIMALS) for value in ring] for polygon in outline for ring in polygon]
    (encoded,) = run_lengths(mask[None])
    lengths = {"size": list(mask.shape), "counts": encoded["counts"].decode()}
    has_holes = len(polygons) > len(outline)
    return {"area": int(mask.sum()), "segmentation": lengths if has_holes else polygons}
