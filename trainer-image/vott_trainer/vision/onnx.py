"""The model as ONNX, for programs without PyTorch: exported, then run by ONNX Runtime and compared with PyTorch.

docs/results.md says what goes in and comes out.
"""

import copy
import itertools
import json
import logging
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from torch import Tensor, nn
from torch.nn import functional
from torch.onnx.errors import UnsupportedOperatorError

from vott_trainer.vision import onnx_operators
from vott_trainer.vision.architectures import LOWEST_SCORE

log = logging.getLogger(__name__)

onnx_operators.register()

FILE = "model.onnx"
TOLERANCE = 1e-3  # of scores, and of boxes in shares of the image's longer side
COMPARED = 20  # of the best detections of an image
ENOUGH = 5  # detections; with fewer of them further images are looked at
MOST_IMAGES = 5  # to compare with: each is a second or so of a large network
HEIGHT_AND_WIDTH = {1: "height", 2: "width"}

Outputs = Sequence[NDArray[Any]]


class Agreement(NamedTuple):
    """How far two outputs are apart at most, and of how many detections or images that is."""

    difference: float
    compared: int


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


def export_detector(model: nn.Module, images: Iterable[Tensor], folder: Path, labels: Sequence[str]) -> dict[str, Any]:
    """Write a detector that speaks torchvision's convention as `model.onnx`.

    The file takes images of any size where the architecture does, else images that are squeezed into a square.

    Args:
        images: held-out ones, uint8 [3, H, W], to compare with; at most MOST_IMAGES are taken.
        folder: where the file goes.
        labels: the classes from number 1 on; they are in the file, too.

    Returns:
        `file`, its `inputs`, `outputs`, the largest `difference` to PyTorch and of how much that is (`compared`), None and 0 where there
        was nothing to compare, and then `why`; or `file` None and `why`.
    """
    first, *others = [pixels.cpu().float() / 255 for pixels in itertools.islice(images, MOST_IMAGES)]
    upright, side = first.transpose(1, 2).contiguous(), max(first.shape[-2:])
    outputs = {"boxes": {0: "objects"}, "scores": {0: "objects"}, "labels": {0: "objects"}}
    exportable = _Detector(copy.deepcopy(model).cpu())
    any_size = _Export(exportable, [first, upright, *others], {"image": HEIGHT_AND_WIDTH}, outputs, _detections_agree)
    squares = [_square(image, side) for image in (first, *others)]
    one_size = _Export(exportable, squares, {"image": {}}, outputs, _detections_agree)
    return _first_that_works([any_size, one_size], folder / FILE, labels)


def export_classifier(model: nn.Module, images: Tensor, folder: Path, labels: Sequence[str]) -> dict[str, Any]:
    """Write a classifier that returns logits as `model.onnx`, for any number of images at once; its outputs are shares.

    Args:
        images: held-out ones, float [B, 3, H, W] as the model takes them, to compare with.
        folder: where the file goes.
        labels: the classes from number 0 on; they are in the file, too.

    Returns:
        As `export_detector`.
    """
    one, several = images[:1].cpu(), images[:MOST_IMAGES].cpu().repeat(2, 1, 1, 1)
    batch = {0: "images"}
    export = _Export(
        _Classifier(copy.deepcopy(model).cpu()), [one, several], {"images": batch}, {"scores": batch}, _scores_agree
    )
    return _first_that_works([export], folder / FILE, labels)


class _Export:
    """One way to write a model: with which inputs, what of their sizes may vary, and how to compare the outputs.

    The first two inputs are always compared: they are of two sizes, where these may vary.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Sequence[Tensor],
        sizes: Mapping[str, Mapping[int, str]],
        outputs: Mapping[str, Mapping[int, str]],
        agree: Callable[[Outputs, Outputs, Tensor], Agreement],
    ) -> None:
        self._model, self._inputs, self._sizes, self._outputs, self._agree = model, inputs, sizes, outputs, agree

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
        told = self._compare(path)
        _add_labels(path, labels)
        return {"file": path.name, "inputs": self._shapes(), "outputs": list(self._outputs), **told}

    def _compare(self, path: Path) -> dict[str, Any]:
        session = InferenceSession(path, providers=["CPUExecutionProvider"])
        difference, compared, tried = 0.0, 0, 0
        for tensor in self._inputs:
            found = session.run(list(self._outputs), {next(iter(self._sizes)): tensor.numpy()})
            agreement = self._agree(self._expected(tensor), found, tensor)
            difference, compared, tried = (
                max(difference, agreement.difference),
                compared + agreement.compared,
                tried + 1,
            )
            if not difference <= TOLERANCE:
                raise _DifferentError(f"ONNX Runtime's output differs from PyTorch's by {difference:.2g}")
            if compared >= ENOUGH and tried >= 2:
                break
        return {"difference": difference, "compared": compared} if compared else _not_compared()

    def _expected(self, tensor: Tensor) -> Outputs:
        with torch.inference_mode():
            outputs = self._model(tensor)
        return [one.numpy() for one in ([outputs] if isinstance(outputs, Tensor) else outputs)]

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


def _not_compared() -> dict[str, Any]:
    why = (
        "The model saw nothing on the held-out images that were tried, so the ONNX file could not be compared with it."
    )
    log.warning("%s", why)
    return {"difference": None, "compared": 0, "why": why}


def _detections_agree(expected: Outputs, found: Outputs, image: Tensor) -> Agreement:
    """Compare the best detections of each side with those of the same class on the other side: none may see what the other does not."""
    longest = max(image.shape[-2:])
    best, others_best = _best(expected[1]), _best(found[1])
    there, here = _farthest(expected, best, found, longest), _farthest(found, others_best, expected, longest)
    return Agreement(max(there, here), len(best))


def _best(scores: NDArray[Any]) -> list[int]:
    """Return where the best ones are, but for those that may be just above the threshold here and just below it there."""
    places = np.argsort(-scores, kind="stable")[:COMPARED]
    return [int(place) for place in places if not LOWEST_SCORE <= scores[place] < LOWEST_SCORE + TOLERANCE]


def _farthest(some: Outputs, places: Sequence[int], others: Outputs, longest: int) -> float:
    """Return how far the nearest one of `others` is at most, infinite where there is none of the class."""
    boxes, scores, numbers = some
    largest = 0.0
    for place in places:
        same = others[2] == numbers[place]
        away = np.abs(others[0][same] - boxes[place]).max(axis=1, initial=0) / longest
        apart = np.abs(others[1][same] - scores[place])
        largest = max(largest, float(np.maximum(away, apart).min(initial=np.inf)))
    return largest


def _scores_agree(expected: Outputs, found: Outputs, _images: Tensor) -> Agreement:
    return Agreement(float(np.abs(expected[0] - found[0]).max()), len(expected[0]))


def _square(image: Tensor, side: int) -> Tensor:
    return functional.interpolate(image[None], (side, side), mode="bilinear")[0]


def _add_labels(path: Path, labels: Sequence[str]) -> None:
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "labels", json.dumps(list(labels), ensure_ascii=False)
    onnx.save(model, path)
