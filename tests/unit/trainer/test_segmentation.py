"""The parts of a segmentation: samples with shapes, augmented masks, and the evaluation of known masks."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.outlined_images import HEIGHT, LABELS, WIDTH, image_with_outlines
from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Evaluation, LabelledImage
from vott_trainer.plugins.detection import DetectionParameters
from vott_trainer.plugins.segmentation import SegmentationParameters
from vott_trainer.report import Result, wording
from vott_trainer.vision.augmentation import Augmentation, Augmented, augmented
from vott_trainer.vision.canvas import Canvas
from vott_trainer.vision.detector_evaluation import evaluate
from vott_trainer.vision.detector_samples import Samples
from vott_trainer.vision.onnx_check import compare_detections
from vott_trainer.vision.segmenters import SEGMENTERS, SegmenterName
from vott_trainer.vision.shapes import Shape

SIZE = WIDTH // 2  # of the samples: half of the images' size
CPU = torch.device("cpu")


@pytest.fixture
def images(tmp_path: Path) -> list[LabelledImage]:
    """Six images with two objects each."""
    return [labelled(tmp_path / f"{seed}.png", seed) for seed in range(6)]


def labelled(path: Path, seed: int) -> LabelledImage:
    content, boxes = image_with_outlines(seed)
    path.write_bytes(content)
    return LabelledImage(f"https://store/{path.name}", path, boxes)


def samples_of(images: Sequence[LabelledImage]) -> Samples:
    return Samples(images, LABELS, SIZE, shapes=True)


def test_every_network_can_be_named_and_learns_masks() -> None:
    assert set(get_args(SegmenterName)) == set(SEGMENTERS)
    assert all(SegmentationParameters(architecture=name) for name in SEGMENTERS)
    assert all(architecture.mask_stride for architecture in SEGMENTERS.values())
    assert SegmentationParameters.outlines
    assert not DetectionParameters.outlines


def test_boxes_of_samples_surround_the_outlines(images: list[LabelledImage]) -> None:
    wrong = [Box(0, 0, 5, 5, box.label, box.outline) for box in images[0].boxes]
    sample = samples_of([LabelledImage("https://store/a.png", images[0].path, wrong)])[0]
    for corners, box in zip(sample.boxes.tolist(), images[0].boxes, strict=True):
        expected = (box.x / 2, box.y / 2, (box.x + box.width) / 2, (box.y + box.height) / 2)
        assert corners == pytest.approx(expected, abs=0.02)


def test_object_without_an_outline_is_its_box(images: list[LabelledImage]) -> None:
    plain = LabelledImage("https://store/a.png", images[0].path, [Box(20, 10, 40, 30, "bar")])
    (shape,) = samples_of([plain])[0].shapes
    assert shape.bounds == (10, 5, 30, 20)
    assert shape.mask(HEIGHT // 2, WIDTH // 2).sum() == 20 * 15


def colored(image: Augmented, label: int) -> Tensor:
    """Which pixels have the colour of a class: its channel is clearly the strongest."""
    channel = {"bar": 0, "ring": 1, "triangle": 2}[LABELS[label - 1]]
    pixels = image.pixels.int()
    others = [pixels[other] for other in range(3) if other != channel]
    return (pixels[channel] - torch.maximum(*others)) > 50


@pytest.mark.parametrize(
    "augmentation", [Augmentation(mirrored=1.0), Augmentation(mirrored=0.0), Augmentation(mosaic=1.0)]
)
def test_masks_move_with_the_pixels(augmentation: Augmentation, images: list[LabelledImage]) -> None:
    samples = list(samples_of(images)) * 4
    shown = covered = marked = 0
    for seed, one in enumerate(samples):
        image = augmented(one, samples, Canvas(96, 128), augmentation, random.Random(seed))
        masks = image.masks(1).bool()
        assert masks.shape == (len(image.labels), 96, 128)
        for label in set(image.labels.tolist()):
            union = masks[image.labels == label].any(dim=0)
            color = colored(image, label) & inside(image, label)
            covered, shown, marked = (
                covered + int((union & color).sum()),
                shown + int(color.sum()),
                marked + int(union.sum()),
            )
    assert covered > 0.9 * shown
    assert covered > 0.85 * marked


def inside(image: Augmented, label: int) -> Tensor:
    """The pixels in the boxes of a class; objects of which little is visible have none."""
    mask = torch.zeros(image.pixels.shape[1:], dtype=torch.bool)
    for left, top, right, bottom in image.boxes[image.labels == label].round().int().tolist():
        mask[top:bottom, left:right] = True
    return mask


def test_coarse_masks_cover_as_much_as_fine_ones(images: list[LabelledImage]) -> None:
    samples = list(samples_of(images))
    for seed, one in enumerate(samples):
        image = augmented(one, samples, Canvas(192, 256), Augmentation(), random.Random(seed))
        fine, coarse = image.masks(1).sum(dim=(1, 2)), image.masks(4).sum(dim=(1, 2)) * 16
        assert coarse.tolist() == pytest.approx(fine.tolist(), rel=0.2, abs=100)


def test_shape_between_the_pixels_still_has_a_mask() -> None:
    tiny = Shape.of(Box(2.6, 1.6, 0.3, 0.3, "bar", (((2.6, 1.6, 2.9, 1.6, 2.9, 1.9),),)))
    assert tiny.mask(4, 5).nonzero()[0].tolist() == [1]


class FakeSegmenter(nn.Module):
    """Returns given detections in the order of the images."""

    def __init__(self, detections: Sequence[dict[str, Tensor]]) -> None:
        super().__init__()
        self._detections = iter(detections)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [next(self._detections) for _ in images]


def measured(samples: Samples, *, boxes_as_masks: bool = False, score: float = 0.9) -> Evaluation:
    """The evaluation of a network that finds all objects, with their masks or with full boxes."""
    detections = []
    for sample in samples:
        height, width = sample.pixels.shape[1:]
        masks = [torch.from_numpy(shape.mask(height, width)).float() for shape in sample.shapes]
        if boxes_as_masks:
            masks = [torch.zeros(height, width) for _ in masks]
            for mask, box in zip(masks, sample.boxes.round().int().tolist(), strict=True):
                mask[box[1] : box[3], box[0] : box[2]] = 1.0
        scores = torch.full((len(masks),), score)
        detections.append(
            {"boxes": sample.boxes, "labels": sample.labels, "scores": scores, "masks": torch.stack(masks)}
        )
    return evaluate(FakeSegmenter(detections), samples, LABELS, CPU, by_masks=True)


def test_perfect_masks_have_an_average_precision_of_one(images: list[LabelledImage]) -> None:
    evaluation = measured(samples_of(images))
    assert evaluation.metrics == pytest.approx({"mAP50": 1, "mAP": 1, "boxMAP50": 1, "boxMAP": 1})
    assert all(example.is_correct for example in evaluation.examples)
    assert evaluation.confusion
    assert evaluation.confusion.counts == [[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 0]]
    for example in evaluation.examples:
        for found, true in zip(example.predictions, example.truth, strict=True):
            assert found.box
            assert found.box.outline
            assert true.box
            assert true.box.outline


def test_full_boxes_are_no_masks(images: list[LabelledImage]) -> None:
    evaluation = measured(samples_of(images), boxes_as_masks=True)
    assert evaluation.metrics["boxMAP50"] == pytest.approx(1)
    assert evaluation.metrics["mAP50"] < 0.7
    assert evaluation.per_class["bar"]["AP50"] < 0.5
    assert evaluation.per_class["bar"]["recall"] < 0.6
    assert any(example.missed for example in evaluation.examples)
    summary = wording.summary(Result("segmentation", evaluation.metrics, evaluation=evaluation))
    assert "masks were wrong" in summary


def test_image_without_detections_misses_its_objects(images: list[LabelledImage]) -> None:
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "scores": torch.zeros(0)}
    nothing["masks"] = torch.zeros(0, HEIGHT // 2, WIDTH // 2)
    evaluation = evaluate(FakeSegmenter([nothing] * 6), samples_of(images), LABELS, CPU, by_masks=True)
    assert evaluation.metrics == {"mAP50": 0, "mAP": 0, "boxMAP50": 0, "boxMAP": 0}


def test_comparison_of_an_export_looks_at_the_masks() -> None:
    boxes, scores, labels = np.array([[1.0, 1.0, 5.0, 5.0]]), np.array([0.9]), np.array([1])
    mask = np.zeros((1, 8, 8))
    mask[0, 1:5, 1:5] = 1
    other = mask.copy()
    other[0, 1, 1] = 0.5  # of 16 pixels
    image = torch.zeros(3, 8, 8)
    assert compare_detections([boxes, scores, labels, mask], [boxes, scores, labels, mask], image) == (0.0, 1)
    assert compare_detections([boxes, scores, labels, mask], [boxes, scores, labels, other], image).difference > 0.03
