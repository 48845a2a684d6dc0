"""The model as ONNX, for programs without PyTorch: exported, then run by ONNX Runtime and compared with PyTorch.

docs/results.md says what goes in and comes out.
"""

import copy
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from torch import Tensor, nn
from torch.nn import functional
from torch.onnx.errors import UnsupportedOperatorError

from vott_trainer.vision import onnx_operators

log = logging.getLogger(__name__)

onnx_operators.register()

FILE = "model.onnx"
TOLERANCE = 1e-3  # of scores, and of boxes in shares of the image's longer side
COMPARED = 20  # of the best detections: weaker ones may be just above the threshold here and just below it there
HEIGHT_AND_WIDTH = {1: "height", 2: "width"}

Outputs = Sequence[NDArray[Any]]


class _DifferentError(Exception):
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

    The file takes images of any size where the architecture does, else images that are squeezed into a square.

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
    exportable = _Detector(copy.deepcopy(model).cpu())
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
    export = _Export(
        _Classifier(copy.deepcopy(model).cpu()), [one, two], {"images": batch}, {"scores": batch}, _scores_differ
    )
    return _first_that_works([export], folder / FILE, labels)


class _Export:
    """One way to write a model: with which inputs, what of their sizes may vary, and how to compare the outputs."""

    def __init__(
        self,
        model: nn.Module,
        inputs: Sequence[Tensor],
        sizes: Mapping[str, Mapping[int, str]],
        outputs: Mapping[str, Mapping[int, str]],
        differ: Callable[[Outputs, Outputs, Tensor], float],
    ) -> None:
        self._model, self._inputs, self._sizes, self._outputs, self._differ = model, inputs, sizes, outputs, differ

    def write(self, path: Path, labels: Sequence[str]) -> dict[str, Any]:
        """Export and compare; `_DifferentError` where it is not the same model."""
        self._model.eval()
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer tells of each Python number in the model
            torch.onnx.export(
                self._model,
                (self._inputs[0],),
                path,
                input_names=list(self._sizes),
                output_names=list(self._outputs),
                dynamic_axes={name: dict(axes) for name, axes in {**self._sizes, **self._outputs}.items() if axes},
                opset_version=onnx_operators.OPSET,
                dynamo=False,  # the other exporter does not know torchvision's detectors
            )
        difference = self._compare(path)
        _add_labels(path, labels)
        return {"file": path.name, "inputs": self._shapes(), "outputs": list(self._outputs), "difference": difference}

    def _compare(self, path: Path) -> float:
        session = InferenceSession(path, providers=["CPUExecutionProvider"])
        difference = 0.0
        for tensor in self._inputs:
            with torch.inference_mode():
                expected = self._model(tensor)
            expected = [expected] if isinstance(expected, Tensor) else expected
            found = session.run(list(self._outputs), {next(iter(self._sizes)): tensor.numpy()})
            difference = max(difference, self._differ([one.numpy() for one in expected], found, tensor))
        if not difference <= TOLERANCE:
            raise _DifferentError(f"ONNX Runtime's output differs from PyTorch's by {difference:.2g}")
        return difference

    def _shapes(self) -> dict[str, list[str | int]]:
        (name, varying), shape = next(iter(self._sizes.items())), self._inputs[0].shape
        return {name: [varying.get(axis, size) for axis, size in enumerate(shape)]}


def _first_that_works(exports: Sequence[_Export], path: Path, labels: Sequence[str]) -> dict[str, Any]:
    why = ""
    for export in exports:
        try:
            return export.write(path, labels)
        except (UnsupportedOperatorError, _DifferentError) as error:
            why = str(error)
        except Exception as error:  # whatever an exporter raises: the training must not be lost with it
            log.exception("the model can't be written as ONNX")
            why = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        path.unlink(missing_ok=True)
    log.warning("no ONNX file: %s", why)
    return {"file": None, "why": why}


def _detections_differ(expected: Outputs, found: Outputs, image: Tensor) -> float:
    """Return how far the nearest detection of the same class is at most, for each of the best ones."""
    boxes, scores, numbers = expected
    longest = max(image.shape[-2:])
    largest = 0.0
    for place in np.argsort(-scores, kind="stable")[:COMPARED]:
        same = found[2] == numbers[place]
        away = np.abs(found[0][same] - boxes[place]).max(axis=1, initial=0) / longest
        apart = np.abs(found[1][same] - scores[place])
        largest = max(largest, float(np.maximum(away, apart).min(initial=np.inf)))
    return largest


def _scores_differ(expected: Outputs, found: Outputs, _images: Tensor) -> float:
    return float(np.abs(expected[0] - found[0]).max())


def _square(image: Tensor) -> Tensor:
    side = max(image.shape[-2:])
    return functional.interpolate(image[None], (side, side), mode="bilinear")[0]


def _add_labels(path: Path, labels: Sequence[str]) -> None:
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "labels", json.dumps(list(labels), ensure_ascii=False)
    onnx.save(model, path)
