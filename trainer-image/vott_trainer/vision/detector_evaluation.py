"""Detector evaluation: COCO AP and a confusion matrix.

AP as COCO defines it (https://cocodataset.org/#detection-eval); the confusion matrix at the score from which predictions are shown.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Evaluation, Example, Prediction
from vott_trainer.plugin_api.evaluation import choose_examples
from vott_trainer.plugin_api.thresholds import MIN_SCORE_SHOWN
from vott_trainer.vision import average_precision, matching
from vott_trainer.vision.confusion_matrix import class_metrics, confusion_matrix
from vott_trainer.vision.detector_samples import Sample
from vott_trainer.vision.evaluation_batches import decoded_batches, halved_on_out_of_memory
from vott_trainer.vision.resize import Scale

BATCH = 8  # images of one size

Detections = dict[str, Tensor]  # boxes [N, 4] as x1, y1, x2, y2; labels [N] from 1; scores [N]


def evaluate(model: nn.Module, samples: Sequence[Sample], labels: Sequence[str], device: torch.device) -> Evaluation:
    """Evaluate a detector.

    `mAP50` (IoU 0.50) and `mAP` (mean over IoU 0.50 to 0.95) are 0 to 1. Precision, recall, the confusion matrix and the examples count
    predictions with a score of 0.5 or more, and an object as found at an IoU of 0.50 or more.
    """
    images: list[average_precision.Image] = []
    examples: list[Example] = []
    for batch in _batches(samples):
        all_detections = detect_all(model, [sample.pixels for sample in batch], device)
        for sample, detections in zip(batch, all_detections, strict=True):
            images.append(_coco_image(sample, detections))
            examples.append(_example(sample, detections, labels))
    precision = average_precision.average_precision(images, labels)
    confusion = confusion_matrix(labels, examples)
    per_class = class_metrics(confusion, labels)
    return Evaluation(
        metrics={"mAP50": precision.map50, "mAP": precision.map},
        per_class={label: precision.per_class.get(label, {}) | per_class[label] for label in labels},
        curves=precision.curves,
        confusion=confusion,
        examples=choose_examples(examples),
    )


def detect(model: nn.Module, pixels: Tensor, device: torch.device) -> Detections:
    """Return the detections on one uint8 image [3, H, W], on the CPU."""
    return detect_all(model, [pixels], device)[0]


@torch.inference_mode()
def detect_all(model: nn.Module, images: Sequence[Tensor], device: torch.device) -> list[Detections]:
    """Return the detections on each uint8 image [3, H, W], on the CPU, without background and empty boxes.

    Raises:
        torch.OutOfMemoryError: a GPU's memory does not hold a single image; batches are halved before.
    """
    model.eval()

    def compute(batch: Sequence[Tensor]) -> list[Detections]:
        outputs = model([image.to(device, non_blocking=True).float() / 255 for image in batch])
        return [_usable({n: v.float().cpu() if n != "labels" else v.cpu() for n, v in one.items()}) for one in outputs]

    return halved_on_out_of_memory(compute, images)


def predictions(
    detections: Detections, labels: Sequence[str], scale: Scale, min_score: float = 0.0
) -> list[Prediction]:
    """Return the detections with at least `min_score`, best first, in pixels of the file; `scale` is the sample's."""
    boxes, numbers, scores = (
        (detections["boxes"] / torch.tensor(scale * 2)).tolist(),
        detections["labels"],
        detections["scores"],
    )
    found = [
        Prediction(label := labels[number - 1], score, Box(left, top, right - left, bottom - top, label))
        for (left, top, right, bottom), number, score in zip(boxes, numbers.tolist(), scores.tolist(), strict=True)
        if score >= min_score
    ]
    return sorted(found, key=lambda prediction: -prediction.score)


def _batches(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Yield neighbours of equal size together, so that none is padded."""
    for batch in decoded_batches(samples, BATCH):
        for _, same_size in groupby(batch, key=lambda sample: sample.pixels.shape):
            yield list(same_size)


def _usable(detections: Detections) -> Detections:
    widths, heights = (detections["boxes"][:, 2:] - detections["boxes"][:, :2]).unbind(1)
    keep = (detections["labels"] >= 1) & (widths > 0) & (heights > 0)
    return {name: values[keep] for name, values in detections.items()}


def _coco_image(sample: Sample, detections: Detections) -> average_precision.Image:
    height, width = sample.pixels.shape[1:]
    truth = average_precision.Objects(_xywh(sample.boxes), sample.labels.tolist())
    boxes, labels, scores = _xywh(detections["boxes"]), detections["labels"], detections["scores"]
    found = average_precision.Objects(boxes, labels.tolist(), scores.tolist())
    return average_precision.Image(width, height, truth, found)


def _xywh(boxes: Tensor) -> list[list[float]]:
    corners: list[list[float]] = torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), dim=1).tolist()
    return corners


def _example(sample: Sample, detections: Detections, labels: Sequence[str]) -> Example:
    truth = [Prediction(box.label, 1.0, box) for box in sample.image.boxes]
    shown = predictions(detections, labels, sample.scale, MIN_SCORE_SHOWN)
    return matching.example(sample.image.path, sample.name, truth, shown)
