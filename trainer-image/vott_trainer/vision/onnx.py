"""The model as ONNX, for programs without PyTorch: exported, then run by ONNX Runtime and compared with PyTorch.

docs/results.md says what goes in and comes out.
"""

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from torch import Tensor, nn

log = logging.getLogger(__name__)

FILE = "model.onnx"
OPSET = 17
TOLERANCE = 1e-3  # of scores, and of boxes in shares of the image's longer side
LOWEST_SCORE = 0.1  # detections below it are too near to the threshold to be in both
HEIGHT_AND_WIDTH = {1: "height", 2: "width"}

Outputs = Sequence[NDArray[Any]]


class _Different(Exception):
    """ONNX Runtime and PyTorch do not agree."""


class _Detector(nn.Module):
    """[3, H, W] in, boxes [N, 4], scores [N] and labels [N] out: one image, as ONNX knows no lists."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (found,) = self.model([image])
        return found["boxes"], found["scores"], found["labels"]


class _Classifier(nn.Module):
    """[B, 3, H, W] in, scores [B, classes] out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.model(images).softmax(dim=1)
        return scores


def export_detector(model: nn.Module, pixels: Tensor, folder: Path, labels: Sequence[str]) -> dict[str, Any]:
    """Write a detector that speaks torchvision's convention as `model.onnx`.

    The file takes images of any size where the architecture does, else of a square's.

    Args:
        pixels: an image with objects, uint8 [3, H, W], to compare with.
        folder: where the file goes.
        labels: the classes from number 1 on; they are in the file, too.

    Returns:
        `file`, its `inputs`, `outputs` and the largest `difference` to PyTorch; or `file` None and `why`.
    """
    image = pixels.cpu().float() / 255
    upright, square = image.transpose(1, 2).contiguous(), _square(image)
    outputs = {"boxes": {0: "objects"}, "scores": {0: "objects"}, "labels": {0: "objects"}}
    exportable = _Detector(model)
    any_size = _Export(exportable, [image, upright], {"image": HEIGHT_AND_WIDTH}, outputs, _detections_differ)
    one_size = _Export(exportable, [square], {"image": {}}, outputs, _detections_differ)
    return _first_that_works([any_size, one_size], folder / FILE, labels)


def export_classifier(model: nn.Module, images: Tensor, folder: Path, labels: Sequence[str]) -> dict[str, Any]:
    """Write a classifier that returns logits as `model.onnx`, for any number of images at once; its outputs are shares.

    Args:
        images: float [B, 3, H, W] as the model takes them, to compare with.
        folder: where the file goes.
        labels: the classes from number 0 on; they are in the file, too.

    Returns:
        As `export_detector`.
    """
    one, two = images[:1].cpu(), images[:1].cpu().repeat(2, 1, 1, 1)
    batch = {0: "images"}
    export = _Export(_Classifier(model), [one, two], {"images": batch}, {"scores": batch}, _scores_differ)
    return _first_that_works([export], folder / FILE, labels)
