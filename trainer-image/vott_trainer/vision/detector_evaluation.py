"""Detector evaluation: COCO AP and a confusion matrix.

AP as COCO defines it (https://cocodataset.org/#detection-eval); the confusion matrix at the score from which predictions are shown.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Evaluation, Example, Prediction
from vott_trainer.plugin_api.evaluation import LOWEST_SCORE_SHOWN, choose_examples
from vott_trainer.vision import average_precision, chunks, matching
from vott_trainer.vision.samples import Sample

BATCH = 8  # images of one size that go through the network together

Detections = dict[str, Tensor]  # boxes [N, 4] as x1, y1, x2, y2; labels [N] from 1; scores [N]


def evaluate(model: nn.Module, samples: Sequence[Sample], labels: Sequence[str], device: torch.device) -> Evaluation:
    """Measure a detector.

    `mAP50` (IoU 0.50) and `mAP` (mean over IoU 0.50 to 0.95) are 0 to 1. Precision, recall, the confusion matrix and the examples count
    predictions with a score of 0.5 or more, and an object as found at an IoU of 0.50 or more.
    """
    images: list[average_precision.Image] = []
    examples: list[Example] = []
    for batch in _batches(samples):
        for sample, found in zip(batch, detect_all(model, [sample.pixels for sample in batch], device), strict=True):
            images.append(_coco(sample, found))
            examples.append(_example(sample, found, labels))
    precision = average_precision.average_precision(images, labels)
    confusion = matching.confusion(labels, examples)
    per_class = matching.per_class(confusion, labels)
    return Evaluation(
        metrics={"mAP50": precision.map50, "mAP": precision.map},
        per_class={label: precision.per_class.get(label, {}) | per_class[label] for label in labels},
        curves=precision.curves,
        confusion=confusion,
        examples=choose_examples(examples),
    )


def detect(model: nn.Module, pixels: Tensor, device: torch.device) -> Detections:
    """Return what the model sees on one uint8 image [3, H, W], on the CPU."""
    return detect_all(model, [pixels], device)[0]


@torch.inference_mode()
def detect_all(model: nn.Module, images: Sequence[Tensor], device: torch.device) -> list[Detections]:
    """Return what the model sees on each uint8 image [3, H, W], on the CPU; background and empty boxes are left out.

    Raises:
        torch.OutOfMemoryError: the GPU's memory does not hold a single image; it gets fewer at a time before.
    """
    model.eval()

    def seen(some: Sequence[Tensor]) -> list[Detections]:
        found = model([image.to(device, non_blocking=True).float() / 255 for image in some])
        return [_usable({n: v.float().cpu() if n != "labels" else v.cpu() for n, v in one.items()}) for one in found]

    return chunks.divided(seen, images)


def predictions(found: Detections, labels: Sequence[str], scale: float, lowest: float = 0.0) -> list[Prediction]:
    """Return the detections from score `lowest` on, best first, in pixels of the image; `scale` is the sample's."""
    rows = zip((found["boxes"] / scale).tolist(), found["labels"].tolist(), found["scores"].tolist(), strict=True)
    shown = [
        Prediction(label := labels[number - 1], score, Box(left, top, right - left, bottom - top, label))
        for (left, top, right, bottom), number, score in rows
        if score >= lowest
    ]
    return sorted(shown, key=lambda prediction: -prediction.score)


def _batches(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Yield neighbours of equal size together, so that none is padded; the next ones are decoded meanwhile."""
    for chunk in chunks.decoded(samples, BATCH):
        for _, same in groupby(chunk, key=lambda sample: sample.pixels.shape):
            yield list(same)


def _usable(found: Detections) -> Detections:
    widths, heights = (found["boxes"][:, 2:] - found["boxes"][:, :2]).unbind(1)
    keep = (found["labels"] >= 1) & (widths > 0) & (heights > 0)
    return {name: values[keep] for name, values in found.items()}


def _coco(sample: Sample, found: Detections) -> average_precision.Image:
    height, width = sample.pixels.shape[1:]
    truth = average_precision.Objects(_xywh(sample.boxes), sample.labels.tolist())
    seen = average_precision.Objects(_xywh(found["boxes"]), found["labels"].tolist(), found["scores"].tolist())
    return average_precision.Image(width, height, truth, seen)


def _xywh(boxes: Tensor) -> list[list[float]]:
    corners: list[list[float]] = torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), dim=1).tolist()
    return corners


def _example(sample: Sample, found: Detections, labels: Sequence[str]) -> Example:
    truth = [Prediction(box.label, 1.0, box) for box in sample.image.boxes]
    shown = predictions(found, labels, sample.scale, LOWEST_SCORE_SHOWN)
    return matching.example(sample.image.path, sample.name, truth, shown)
