"""Evaluation of detectors and of networks that also predict masks: COCO AP and a confusion matrix.

AP as COCO defines it (https://cocodataset.org/#detection-eval); the confusion matrix from the score thresholds of the classes on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor, nn

from vott_guard.redaction import redact_url
from vott_trainer.annotations import Box
from vott_trainer.learning.mixed_precision import autocast
from vott_trainer.plugin_api import Evaluation, Example, LabelledImage, Prediction
from vott_trainer.plugin_api.evaluation import choose_examples
from vott_trainer.vision import average_precision, matching
from vott_trainer.vision.calibration import detector_reliability
from vott_trainer.vision.confusion_matrix import class_metrics, confusion_matrix
from vott_trainer.vision.detector_samples import Sample, Samples
from vott_trainer.vision.evaluation_batches import decoded_batches, halved_on_out_of_memory
from vott_trainer.vision.intervals import detector_intervals
from vott_trainer.vision.mask_outlines import RunLengths, outline_of, run_lengths
from vott_trainer.vision.resize import Scale
from vott_trainer.vision.score_thresholds import score_thresholds
from vott_trainer.vision.small_objects import small_objects

BATCH = 8  # images of one size
BATCH_WITH_MASKS = 2  # a hundred masks of an image take a hundred times its memory

Detections = dict[str, Tensor]  # boxes [N, 4] as x1, y1, x2, y2; labels [N] from 1; scores [N]; perhaps masks [N, H, W]
MASKED = 0.5  # a pixel with this value in a mask, or more, belongs to the object
ALL: Mapping[str, float] = {}  # thresholds for every prediction


@dataclass(frozen=True, slots=True)
class Detected:
    """What is measured of a held-out image. Plain values, because processes exchange them; without pixels, because all are in memory.

    Attributes:
        width: of the sample, in pixels, as `height`, `truth` and `boxes`.
        scale: the sample's.
        truth: the annotated objects.
        boxes: of the detections, as x1, y1, x2, y2.
        labels: of the detections, from 1.
        scores: of the detections.
        masks: of the detections; none of a detector of boxes.
    """

    width: int
    height: int
    scale: Scale
    truth: average_precision.Objects
    boxes: list[list[float]]
    labels: list[int]
    scores: list[float]
    masks: list[RunLengths]

    @classmethod
    def of(cls, sample: Sample, detections: Detections) -> "Detected":
        """Return the detections on a sample, with its objects."""
        height, width = sample.pixels.shape[1:]
        true_masks = [mask for shape in sample.shapes for mask in run_lengths(shape.mask(height, width)[None])]
        truth = average_precision.Objects(_xywh(sample.boxes), sample.labels.tolist(), masks=true_masks)
        boxes, labels, scores = (detections[name].tolist() for name in ("boxes", "labels", "scores"))
        return cls(width, height, sample.scale, truth, boxes, labels, scores, run_lengths_of(detections))

    @property
    def detections(self) -> Detections:
        """The detections as tensors, without masks."""
        boxes = torch.tensor(self.boxes, dtype=torch.float32).reshape(-1, 4)
        return {
            "boxes": boxes,
            "labels": torch.tensor(self.labels, dtype=torch.int64),
            "scores": torch.tensor(self.scores),
        }

    @property
    def coco_image(self) -> average_precision.Image:
        """Objects and detections for COCO's evaluation."""
        found = average_precision.Objects(_xywh(self.detections["boxes"]), self.labels, self.scores, self.masks)
        return average_precision.Image(self.width, self.height, self.truth, found)


def evaluate(
    model: nn.Module, samples: Sequence[Sample], labels: Sequence[str], device: torch.device, *, by_masks: bool = False
) -> Evaluation:
    """Evaluate a detector, as `measure` describes."""
    images = samples.images if isinstance(samples, Samples) else [sample.image for sample in samples]
    return measure(images, detected_on(model, samples, device, by_masks=by_masks), labels, by_masks=by_masks)


def detected_on(
    model: nn.Module, samples: Sequence[Sample], device: torch.device, *, by_masks: bool = False
) -> list[Detected]:
    """Return what is measured of each sample."""
    detected = []
    for batch in _batches(samples, BATCH_WITH_MASKS if by_masks else BATCH):
        all_detections = detect_all(model, [sample.pixels for sample in batch], device)
        detected += [Detected.of(*pair) for pair in zip(batch, all_detections, strict=True)]
    return detected


def measure(
    images: Sequence[LabelledImage], detected: Sequence[Detected], labels: Sequence[str], *, by_masks: bool = False
) -> Evaluation:
    """Measure a detector by its detections on the images.

    `mAP50` (IoU 0.50) and `mAP` (mean over IoU 0.50 to 0.95) are 0 to 1. Precision, recall, the confusion matrix and the examples count
    predictions from the score `threshold` of their class on, and an object as found at an IoU of 0.50 or more.

    Args:
        by_masks: compare masks instead of boxes; AP of the boxes are `boxMAP50` and `boxMAP`.
    """
    coco_images = [one.coco_image for one in detected]
    precision = average_precision.average_precision(coco_images, labels, by_masks=by_masks)
    metrics = {"mAP50": precision.map50, "mAP": precision.map}
    if by_masks:
        by_boxes = average_precision.average_precision(coco_images, labels)
        metrics |= {"boxMAP50": by_boxes.map50, "boxMAP": by_boxes.map}
    thresholds = score_thresholds(precision.outcomes, labels)
    examples = [_example(*pair, labels, thresholds) for pair in zip(images, detected, strict=True)]
    confusion = confusion_matrix(labels, examples)
    per_class = class_metrics(confusion, labels)
    evaluation = Evaluation(
        metrics=metrics,
        selection="mAP",  # mAP50 alone rises before the boxes fit
        per_class={
            label: precision.per_class.get(label, {}) | per_class[label] | {"threshold": thresholds[label]}
            for label in labels
        },
        curves=precision.curves,
        confusion=confusion,
        examples=choose_examples(examples),
        thresholds=thresholds,
        reliability=detector_reliability(precision.outcomes, thresholds),
        small_objects=small_objects((example, one.scale) for example, one in zip(examples, detected, strict=True)),
    )
    scenes = [image.scene_key for image in images]
    return replace(
        evaluation, compute_intervals=lambda: detector_intervals(evaluation, examples, scenes, labels, precision)
    )


def detect(model: nn.Module, pixels: Tensor, device: torch.device) -> Detections:
    """Return the detections on one uint8 image [3, H, W], on the CPU."""
    return detect_all(model, [pixels], device)[0]


@torch.inference_mode()
def detect_all(model: nn.Module, images: Sequence[Tensor], device: torch.device) -> list[Detections]:
    """Return the detections on each uint8 image [3, H, W], on the CPU, without background and empty boxes; masks are boolean.

    In half precision on a GPU. Boxes are decoded in float32 nevertheless (`precision`).

    Raises:
        torch.OutOfMemoryError: a GPU's memory does not hold a single image; batches are halved before.
    """
    model.eval()

    def compute(batch: Sequence[Tensor]) -> list[Detections]:
        with autocast(device):
            outputs = model([image.to(device, non_blocking=True).float() / 255 for image in batch])
        return [_usable({name: _on_cpu(name, values) for name, values in one.items()}) for one in outputs]

    return halved_on_out_of_memory(compute, images)


def predictions(
    detections: Detections,
    labels: Sequence[str],
    scale: Scale,
    thresholds: Mapping[str, float] = ALL,
    masks: Sequence[RunLengths] = (),
) -> list[Prediction]:
    """Return the detections from the thresholds of their classes on, best first, in pixels of the file; `scale` is the sample's."""
    boxes, numbers, scores = (
        (detections["boxes"] / torch.tensor(scale * 2)).tolist(),
        detections["labels"].tolist(),
        detections["scores"].tolist(),
    )
    found = []
    for place, ((left, top, right, bottom), number, score) in enumerate(zip(boxes, numbers, scores, strict=True)):
        label = labels[number - 1]
        if score >= thresholds.get(label, 0.0):
            outline = outline_of(masks[place], scale) if masks else ()
            found.append(Prediction(label, score, Box(left, top, right - left, bottom - top, label, outline or None)))
    return sorted(found, key=lambda prediction: -prediction.score)


def run_lengths_of(detections: Detections) -> list[RunLengths]:
    """Return the masks; none of a detector."""
    return run_lengths(detections["masks"].numpy()) if "masks" in detections else []


def _batches(samples: Sequence[Sample], size: int) -> Iterator[list[Sample]]:
    """Yield neighbours of equal size together, so that none is padded."""
    for batch in decoded_batches(samples, size):
        for _, same_size in groupby(batch, key=lambda sample: sample.pixels.shape):
            yield list(same_size)


def _usable(detections: Detections) -> Detections:
    widths, heights = (detections["boxes"][:, 2:] - detections["boxes"][:, :2]).unbind(1)
    keep = (detections["labels"] >= 1) & (widths > 0) & (heights > 0)
    return {name: values[keep] for name, values in detections.items()}


def _on_cpu(name: str, values: Tensor) -> Tensor:
    if name == "masks":
        return (values >= MASKED).cpu()
    return values.cpu() if name == "labels" else values.float().cpu()


def _xywh(boxes: Tensor) -> list[list[float]]:
    corners: list[list[float]] = torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), dim=1).tolist()
    return corners


def _example(
    image: LabelledImage, detected: Detected, labels: Sequence[str], thresholds: Mapping[str, float]
) -> Example:
    truth = [Prediction(box.label, 1.0, box) for box in image.boxes]
    shown = predictions(detected.detections, labels, detected.scale, thresholds, detected.masks)
    return matching.example(image.path, redact_url(image.url), truth, shown)
