"""The parameter `initialWeights`: find the weights, and copy them into a network."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vott_guard.redaction import redact, redact_url
from vott_guard.urls import is_url
from vott_trainer.annotations.values import is_single_line
from vott_trainer.errors import InvalidParametersError, UsageError
from vott_trainer.learning.weights import COUNTERS, FILE, read_metadata
from vott_trainer.plugin_api import Run
from vott_trainer.stores import model_archive

BAKED, NONE = "baked", "none"
FOLDER = Path("/opt/weights")
MAX_DIMENSIONS = 10  # of a shape that an error lists
REMEDY = "Name another model in initialWeights, or leave it out, and send the message again."


@dataclass(frozen=True)
class Head:
    """Parameters whose first dimension covers the classes; their names start with `prefix`.

    That dimension is [..., classes, rows]; the first `extra` classes are not labels (1: the background), with `extra_last` the last.
    """

    prefix: str
    extra: int = 0
    rows: int = 1
    extra_last: bool = False


@dataclass(frozen=True)
class Weights:
    """Weights of a network, or of its backbone only.

    Attributes:
        read: reads them.
        origin: the file in messages.
        labels: in the order of the network's classes; None if unknown.
    """

    read: Callable[[], dict[str, Tensor]]
    origin: str
    architecture: str | None
    labels: list[str] | None
    is_backbone: bool = False


def find(
    run: Run,
    initial_weights: str | None,
    architecture: str,
    labels: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    *,
    known: Collection[str] = (),
    packaged: Callable[[], dict[str, Tensor]] | None = None,
    is_large: bool = False,
) -> Weights | None:
    """Find the weights that the parameter `initialWeights` names, and note them in the report; None means random weights.

    Args:
        environment: VOTT_WEIGHTS names the folder of the image's weights; default: /opt/weights.
        known: the plugin's architectures, for the error if the weights are of another one.
        packaged: reads weights of the backbone that are installed with the trainer.
        is_large: the architecture learns nothing useful from random weights, which the parameter must ask for.

    Raises:
        InvalidParametersError: there are no such weights, or they are of another architecture.
    """
    if initial_weights == NONE:
        if is_large:
            run.note(
                f"The training started from random weights: expect a poor model, as {architecture} needs millions of images then."
            )
        return None
    if initial_weights is None or initial_weights == BAKED:
        weights = _baked(architecture, _folder(environment)) or (packaged and _packaged(architecture, packaged))
        if not weights and (is_large or initial_weights == BAKED):
            raise _missing(architecture, _folder(environment), is_asked_for=initial_weights == BAKED)
    else:
        weights = _fetched(run, initial_weights)
    if weights is None:
        return None
    _check_architecture(weights, architecture, known)
    run.note(_note(weights, labels))
    return weights


def is_baked(architecture: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the image has weights for the architecture."""
    return _path(architecture, _folder(environment)).exists()


def initialize(model: nn.Module, weights: Weights | None, labels: Sequence[str], heads: Sequence[Head]) -> None:
    """Copy the weights into `model`; in its heads only those of classes that both have.

    Raises:
        InvalidParametersError: they do not fit.
    """
    if weights is None:
        return
    source = weights.read()
    for name, tensor in model.state_dict().items():
        head = next((head for head in heads if name.startswith(head.prefix)), None)
        if head:
            _copy_classes(tensor, source.get(name), head, weights.labels or [], labels)
        elif name in source and source[name].shape == tensor.shape:
            tensor.copy_(source[name])
        elif name in source or not (name.endswith(COUNTERS) or weights.is_backbone):
            raise _misfit(weights, name, source.get(name), tensor)


def _folder(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("VOTT_WEIGHTS") or FOLDER)


def _path(architecture: str, folder: Path) -> Path:
    return folder / f"{architecture}.safetensors"


def _baked(architecture: str, folder: Path) -> Weights | None:
    path = _path(architecture, folder)
    return _described(path, f"the image's weights for {architecture}") if path.exists() else None


def _packaged(architecture: str, read: Callable[[], dict[str, Tensor]]) -> Weights:
    return Weights(read, f"ImageNet weights for the backbone of {architecture}", architecture, None, is_backbone=True)


def _missing(architecture: str, folder: Path, *, is_asked_for: bool) -> InvalidParametersError:
    available = ", ".join(sorted(path.stem for path in folder.glob("*.safetensors"))) or "none"
    remedy = (
        "Leave out initialWeights"
        if is_asked_for
        else "Leave out architecture, or set initialWeights to a model or to `none` (random weights)"
    )
    return InvalidParametersError(
        f"initialWeights: this trainer image has no weights for {architecture} (available: {available}), which learns little "
        f"from random ones. {remedy}, or ask the administrator for an image with these weights."
    )


def _fetched(run: Run, url: str) -> Weights:
    if not is_url(url):
        raise InvalidParametersError(
            f"initialWeights: expected `baked`, `none` or an http(s) URL, found {redact_url(url)[:80]!r}. Correct it and send the message again."
        )
    shown = redact_url(url)
    packed = not urlsplit(url).path.endswith(".safetensors")
    path = run.fetch(url, "initial-weights")
    if packed:
        path = _unpacked(path, shown, path.with_name(f"initial-weights-{run.ranks.rank}.safetensors"))
    return _described(path, f"the model at {shown}")


def _unpacked(packed: Path, shown: str, path: Path) -> Path:
    """Extract the weights from a model archive."""
    try:
        model_archive.extract_file(packed, FILE, path)
    except UsageError as error:
        raise InvalidParametersError(
            f"initialWeights: the file at {shown} is not a model.tgz with {FILE} in it ({error.__cause__}). {REMEDY}"
        ) from error
    return path


def _described(path: Path, origin: str) -> Weights:
    try:
        metadata = read_metadata(path)
    except ValidationError as error:
        raise InvalidParametersError(
            f"initialWeights: the metadata of {origin} are not those of a model of this trainer. {REMEDY}"
        ) from error
    except (OSError, SafetensorError) as error:
        reason = redact(" ".join(str(error).split()))[:200]  # may quote the file
        reason = reason if is_single_line(reason) else type(error).__name__
        raise InvalidParametersError(f"initialWeights: {origin} can't be read: {reason}. {REMEDY}") from error
    return Weights(partial(load_file, path), origin, metadata.architecture, metadata.labels)


def _check_architecture(weights: Weights, architecture: str, known: Collection[str]) -> None:
    if weights.architecture in (None, architecture):
        return
    if weights.architecture in known:
        remedy = f"Set architecture to {weights.architecture}, or name another model in initialWeights, and send the message again."
    else:
        remedy = f"This plugin has no such architecture. {REMEDY}" if known else REMEDY
    raise InvalidParametersError(
        f"initialWeights: {weights.origin} is a {weights.architecture}, but this training uses {architecture}. {remedy}"
    )


def _note(weights: Weights, labels: Sequence[str]) -> str:
    known = [label for label in labels if label in (weights.labels or [])]
    new = [label for label in labels if label not in known]
    classes = f"known classes: {', '.join(known)}" if known else "all classes are new"
    also = f"; new: {', '.join(new)}" if known and new else ""
    return f"The training started from {weights.origin} ({classes}{also})."


@torch.no_grad()
def _copy_classes(tensor: Tensor, source: Tensor | None, head: Head, old: Sequence[str], new: Sequence[str]) -> None:
    """Copy the rows of the classes in both `old` and `new`; leave a tensor of another shape as it is."""
    if source is None or source.dim() != tensor.dim() or source.shape[1:] != tensor.shape[1:]:
        return
    if len(source) % ((len(old) + head.extra) * head.rows or 1):
        return
    first = 0 if head.extra_last else head.extra  # label
    first_extra = (len(old), len(new)) if head.extra_last else (0, 0)
    pairs = [(first_extra[0] + number, first_extra[1] + number) for number in range(head.extra)] if old else []
    pairs += [(old.index(label) + first, number + first) for number, label in enumerate(new) if label in old]
    if not pairs:
        return
    old_rows = source.reshape(-1, len(old) + head.extra, head.rows, *source.shape[1:])
    new_rows = tensor.view(-1, len(new) + head.extra, head.rows, *tensor.shape[1:])
    if len(old_rows) == len(new_rows):
        origins, targets = zip(*pairs, strict=True)
        new_rows[:, list(targets)] = old_rows[:, list(origins)].to(new_rows.dtype)


def _misfit(weights: Weights, name: str, source: Tensor | None, tensor: Tensor) -> InvalidParametersError:
    problem = "is missing" if source is None else f"has shape {_shape(source)}, not {list(tensor.shape)}"
    return InvalidParametersError(
        f"initialWeights: {weights.origin} does not fit this network: {name} {problem}. {REMEDY}"
    )


def _shape(tensor: Tensor) -> str:
    """Format the shape; a file may have any number of dimensions."""
    return str(list(tensor.shape)) if tensor.dim() <= MAX_DIMENSIONS else f"of {tensor.dim()} dimensions"
