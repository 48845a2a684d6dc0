"""ONNX export, for programs without PyTorch; each exported model is checked with ONNX Runtime.

docs/results.md describes inputs and outputs.
"""

import copy
import itertools
import logging
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from onnxruntime import InferenceSession
from torch import Tensor, nn
from torch.nn import functional
from torch.onnx.errors import UnsupportedOperatorError

from vott_trainer.vision import onnx_operators
from vott_trainer.vision.onnx_check import (
    ENOUGH,
    TOLERANCE,
    Agreement,
    DifferentOutputError,
    Outputs,
    compare_detections,
    compare_scores,
)
from vott_trainer.vision.onnx_metadata import add_metadata

log = logging.getLogger(__name__)

OPSET = 18  # the oldest with resizing with antialias
onnx_operators.register(OPSET)

FILE = "model.onnx"
MAX_IMAGES = 5  # to compare; each takes a second or so of a large network
HEIGHT_AND_WIDTH = {1: "height", 2: "width"}


class _Detector(nn.Module):
    """[3, H, W] in, boxes [N, 4], scores [N], labels [N] and perhaps masks [N, H, W] out: one image, since ONNX has no lists."""

    def __init__(self, model: nn.Module, outputs: Sequence[str]) -> None:
        super().__init__()
        self.model, self.outputs = model, outputs

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        (detections,) = self.model([image])
        return tuple(detections[name] for name in self.outputs)


class _Classifier(nn.Module):
    """[B, 3, H, W] in, probabilities [B, classes] out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.model(images).softmax(dim=1)
        return scores


def export_detector(
    model: nn.Module,
    images: Iterable[Tensor],
    folder: Path,
    labels: Sequence[str],
    *,
    square: bool = False,
    masks: bool = False,
) -> dict[str, Any]:
    """Export a detector with torchvision's convention as `model.onnx`.

    The exported model takes images of any size if the architecture does, else squares of one size.

    Args:
        images: held-out images, uint8 [3, H, W], to compare the outputs on; at most MAX_IMAGES are used.
        folder: the file's folder.
        labels: the classes, from number 1; stored in the file.
        square: whether the network takes squares only.
        masks: whether the network also predicts masks.

    Returns:
        `file`, its `inputs` and `outputs`, the largest `difference` from PyTorch, and the number of detections `compared`. If there was
        nothing to compare, `difference` is None, `compared` is 0, and `why` says so. If the export fails, `file` is None and `why` says why.
    """
    first, *others = [pixels.cpu().float() / 255 for pixels in itertools.islice(images, MAX_IMAGES)]
    transposed, side = first.transpose(1, 2).contiguous(), max(first.shape[-2:])
    outputs = {"boxes": {0: "objects"}, "scores": {0: "objects"}, "labels": {0: "objects"}}
    outputs |= {"masks": {0: "objects"} | HEIGHT_AND_WIDTH} if masks else {}
    detector = _Detector(copy.deepcopy(model).cpu(), list(outputs))
    any_size = _Export(detector, [first, transposed, *others], {"image": HEIGHT_AND_WIDTH}, outputs, compare_detections)
    squares = [_square(image, side) for image in (first, *others)]
    one_size = _Export(detector, squares, {"image": {}}, outputs, compare_detections)
    return _first_successful([one_size] if square else [any_size, one_size], folder / FILE, labels)


def export_classifier(model: nn.Module, images: Tensor, folder: Path, labels: Sequence[str]) -> dict[str, Any]:
    """Export a classifier that returns logits as `model.onnx`, for any number of images; it outputs probabilities.

    Args:
        images: held-out images, float [B, 3, H, W], to compare the outputs on.
        folder: the file's folder.
        labels: the classes, from number 0; stored in the file.

    Returns:
        As `export_detector`.
    """
    one, several = images[:1].cpu(), images[:MAX_IMAGES].cpu().repeat(2, 1, 1, 1)
    batch = {0: "images"}
    export = _Export(
        _Classifier(copy.deepcopy(model).cpu()), [one, several], {"images": batch}, {"scores": batch}, compare_scores
    )
    return _first_successful([export], folder / FILE, labels)


class _Export:
    """One way to export a model: its inputs, the axes with variable size, and the comparison of outputs.

    The first two inputs are always compared: they differ in size, where it may vary.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Sequence[Tensor],
        input_axes: Mapping[str, Mapping[int, str]],
        output_axes: Mapping[str, Mapping[int, str]],
        compare: Callable[[Outputs, Outputs, Tensor], Agreement],
    ) -> None:
        self._model, self._inputs, self._compare = model, inputs, compare
        self._input_axes, self._output_axes = input_axes, output_axes

    def write(self, path: Path, labels: Sequence[str]) -> dict[str, Any]:
        """Export and compare.

        Raises:
            DifferentOutputError: the exported model computes something else.
        """
        self._model.eval()
        axes = {**self._input_axes, **self._output_axes}
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer warns about each Python number in the model
            torch.onnx.export(
                self._model,
                (self._inputs[0],),
                path,
                input_names=list(self._input_axes),
                output_names=list(self._output_axes),
                dynamic_axes={name: dict(variable) for name, variable in axes.items() if variable},
                opset_version=OPSET,
                dynamo=False,  # the other exporter does not support torchvision's detectors
            )
        checked = self._checked(path)
        add_metadata(path, labels=list(labels))
        return {"file": path.name, "inputs": self._input_shapes(), "outputs": list(self._output_axes), **checked}

    def _checked(self, path: Path) -> dict[str, Any]:
        session = InferenceSession(path, providers=["CPUExecutionProvider"])
        difference, compared = 0.0, 0
        for count, tensor in enumerate(self._inputs, start=1):
            actual = session.run(list(self._output_axes), {next(iter(self._input_axes)): tensor.numpy()})
            agreement = self._compare(self._expected(tensor), actual, tensor)
            difference, compared = max(difference, agreement.difference), compared + agreement.compared
            if not difference <= TOLERANCE:
                raise DifferentOutputError(f"ONNX Runtime's output differs from PyTorch's by {difference:.2g}")
            if compared >= ENOUGH and count >= 2:
                break
        return {"difference": difference, "compared": compared} if compared else _not_compared()

    def _expected(self, tensor: Tensor) -> Outputs:
        with torch.inference_mode():
            outputs = self._model(tensor)
        return [output.numpy() for output in ([outputs] if isinstance(outputs, Tensor) else outputs)]

    def _input_shapes(self) -> dict[str, list[str | int]]:
        (name, variable), shape = next(iter(self._input_axes.items())), self._inputs[0].shape
        return {name: [variable.get(axis, size) for axis, size in enumerate(shape)]}


def _first_successful(exports: Sequence[_Export], path: Path, labels: Sequence[str]) -> dict[str, Any]:
    reason = ""
    for export in exports:
        try:
            return export.write(path, labels)
        except (UnsupportedOperatorError, DifferentOutputError) as error:
            reason = str(error)
        except Exception as error:  # an exporter may raise anything; the training must not fail
            log.exception("ONNX export failed")
            reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        path.unlink(missing_ok=True)
    log.warning("no ONNX file: %s", reason)
    return {"file": None, "why": reason}


def _not_compared() -> dict[str, Any]:
    reason = "The model detected nothing on the held-out images tried, so the ONNX file could not be compared with it."
    log.warning("%s", reason)
    return {"difference": None, "compared": 0, "why": reason}


def _square(image: Tensor, side: int) -> Tensor:
    return functional.interpolate(image[None], (side, side), mode="bilinear")[0]
