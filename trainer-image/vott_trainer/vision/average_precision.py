"""COCO's average precision (AP) and precision-recall curves, by faster-coco-eval."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from vott_trainer.plugin_api import Point
from vott_trainer.vision.mask_outlines import RunLengths

_ALL_SIZES, _MAX_DETECTIONS, _IOU_50 = 0, -1, 0  # indices into COCOeval's arrays


@dataclass(frozen=True, slots=True)
class Objects:
    """Boxes as x, y, width, height; labels from 1; scores only for predictions; masks only of a segmentation."""

    boxes: list[list[float]]
    labels: list[int]
    scores: list[float] = field(default_factory=list)
    masks: list[RunLengths] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Image:
    """Ground truth and predictions of one image, in pixels of the same scale."""

    width: int
    height: int
    truth: Objects
    predictions: Objects


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Predictions of one class: their scores [N], whether each is correct [N], and the number of objects."""

    scores: NDArray[np.float64]
    correct: NDArray[np.bool_]
    objects: int


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Measurements of a detector.

    Attributes:
        map: mean over IoU 0.50 to 0.95 and all classes, 0 to 1.
        map50: mean over all classes at IoU 0.50, 0 to 1.
        per_class: AP and AP50 of the classes in the ground truth, 0 to 1.
        curves: precision-recall curves at IoU 0.50.
        outcomes: of each class at IoU 0.50; empty without predictions.
        coco: the COCOeval_faster, for `resampled_precision`; None without predictions.
    """

    map: float
    map50: float
    per_class: dict[str, dict[str, float]]
    curves: dict[str, list[Point]]
    outcomes: dict[str, Outcomes] = field(default_factory=dict)
    coco: Any = None


def average_precision(images: Sequence[Image], labels: Sequence[str], *, by_masks: bool = False) -> AveragePrecision:
    """Compute AP as COCO does: 101 recall thresholds, IoU 0.50 to 0.95.

    COCO counts only the best 100 predictions of a class on an image, too few for crowded ones. Here all count that the model returns.

    Args:
        by_masks: compare the masks instead of the boxes.
    """
    results = [row for number, image in enumerate(images, start=1) for row in _results(number, image.predictions)]
    if not results:
        zeros = {label: {"AP": 0.0, "AP50": 0.0} for label in _present(images, labels)}
        return AveragePrecision(0.0, 0.0, zeros, {})
    truth = COCO(_ground_truth(images, labels))
    kind = "segm" if by_masks else "bbox"
    evaluation = COCOeval_faster(truth, truth.loadRes(results), kind, print_function=_silent)
    evaluation.params.maxDets = [max(len(image.predictions.labels) for image in images)]
    evaluation.run()
    summary = _summary(evaluation, _present(images, labels), labels)
    return replace(summary, outcomes=_outcomes(evaluation, labels), coco=evaluation)


def _summary(evaluation: Any, present: list[str], labels: Sequence[str]) -> AveragePrecision:
    precision = evaluation.eval["precision"][:, :, :, _ALL_SIZES, _MAX_DETECTIONS]  # IoU, recall, class
    scores = evaluation.eval["scores"][_IOU_50, :, :, _ALL_SIZES, _MAX_DETECTIONS]
    per_class, curves = {}, {}
    numbers = {label: number for number, label in enumerate(labels)}
    for label in present:
        number = numbers[label]
        curve = _curve(precision[_IOU_50, :, number], scores[:, number], evaluation.params.recThrs)
        per_class[label] = {
            "AP": float(precision[:, :, number].mean()),
            "AP50": float(precision[_IOU_50, :, number].mean()),
        }
        if curve:
            curves[label] = curve
    total, at_50 = (max(0.0, float(value)) for value in evaluation.stats[:2])
    return AveragePrecision(total, at_50, per_class, curves)


def _curve(precision: NDArray[np.float64], scores: NDArray[np.float64], recall: NDArray[np.float64]) -> list[Point]:
    return [
        Point(round(float(r), 4), round(float(p), 4), round(float(s), 4))
        for r, p, s in zip(recall, precision, scores, strict=True)
        if p > 0  # the model does not reach the other recalls
    ]


def _outcomes(evaluation: Any, labels: Sequence[str]) -> dict[str, Outcomes]:
    """Match at IoU 0.50 alone: with several IoU thresholds, COCOeval lists what matches at any of them."""
    at_50 = COCOeval_faster(evaluation.cocoGt, evaluation.cocoDt, evaluation.params.iouType, print_function=_silent)
    at_50.params.iouThrs, at_50.params.maxDets = evaluation.params.iouThrs[:1], evaluation.params.maxDets
    at_50.params.areaRng, at_50.params.areaRngLbl = evaluation.params.areaRng[:1], evaluation.params.areaRngLbl[:1]
    at_50.evaluate()
    matched = {int(pair.partition("_")[0]) for pair in at_50.eval["matched"]}  # "prediction_object", numbers from 1
    predictions: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)
    for number, prediction in evaluation.cocoDt.anns.items():
        predictions[prediction["category_id"]].append((prediction["score"], number in matched))
    objects = Counter(truth["category_id"] for truth in evaluation.cocoGt.anns.values())
    return {
        label: Outcomes(
            np.array([score for score, _ in predictions[category]], np.float64),
            np.array([is_correct for _, is_correct in predictions[category]], np.bool_),
            objects[category],
        )
        for category, label in enumerate(labels, start=1)
    }


def _present(images: Sequence[Image], labels: Sequence[str]) -> list[str]:
    present = {number for image in images for number in image.truth.labels}
    return [label for number, label in enumerate(labels, start=1) if number in present]


def _ground_truth(images: Sequence[Image], labels: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    objects = [
        {"image_id": number, "bbox": box, "area": box[2] * box[3], "iscrowd": 0, **rest}
        for number, image in enumerate(images, start=1)
        for box, rest in zip(image.truth.boxes, _classes_and_masks(image.truth), strict=True)
    ]
    return {
        "images": [{"id": i, "width": image.width, "height": image.height} for i, image in enumerate(images, start=1)],
        "categories": [{"id": number, "name": label} for number, label in enumerate(labels, start=1)],
        "annotations": [{"id": number} | one for number, one in enumerate(objects, start=1)],
    }


def _results(image: int, predictions: Objects) -> list[dict[str, Any]]:
    rows = zip(predictions.boxes, predictions.scores, _classes_and_masks(predictions), strict=True)
    return [{"image_id": image, "bbox": box, "score": score, **rest} for box, score, rest in rows]


def _classes_and_masks(objects: Objects) -> list[dict[str, Any]]:
    """Return the rest of COCO's annotations; without a mask, COCO takes the box as one."""
    if not objects.masks:
        return [{"category_id": label} for label in objects.labels]
    rows = zip(objects.labels, objects.masks, strict=True)
    return [{"category_id": label, "segmentation": mask} for label, mask in rows]


def _silent(*_args: object, **_options: object) -> None:
    """Drop the table that COCOeval prints."""
