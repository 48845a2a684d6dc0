"""The weights that a network begins with and ends with, as safetensors: never anything that could run when it is read.

The metadata of each file tell the architecture and the labels, so that a class that two models share keeps what was learned of it.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import torch
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vott_guard.redaction import redact, redact_url
from vott_guard.urls import is_url
from vott_trainer.annotations.limits import MAX_CLASSES, MAX_LABEL_LENGTH
from vott_trainer.annotations.values import is_single_line
from vott_trainer.errors import InvalidParametersError, UsageError
from vott_trainer.plugin_api import Run
from vott_trainer.stores import model_archive

FILE = "model.safetensors"
ABOUT = "vott"  # entry of the metadata
LABELS_FILE = "labels.txt"
BAKED, NONE = "baked", "none"
FOLDER = Path("/opt/weights")
COUNTERS = "num_batches_tracked"  # batch normalization that is frozen has none, and nothing here uses them
MOST_DIMENSIONS = 10  # that an error names
REMEDY = "Name another model in initialWeights, or leave it out, and send the message again."


@dataclass(frozen=True)
class Head:
    """Parameters whose first dimension is over the classes: `prefix` begins their names.

    That dimension is [..., classes, rows]; `extra` of the classes come before the labels' (1: the background).
    """

    prefix: str
    extra: int = 0
    rows: int = 1


@dataclass(frozen=True)
class Weights:
    """A file of weights: `origin` is what to call it; `labels` are in the order of the network's classes, None where not known."""

    path: Path
    origin: str
    architecture: str | None
    labels: list[str] | None


def _printable(text: str) -> str:
    if not is_single_line(text):
        raise ValueError("expected one line of text")
    return text


_Name = Annotated[str, Field(min_length=1, max_length=MAX_LABEL_LENGTH), AfterValidator(_printable)]


class _About(BaseModel):
    """The metadata's entry, which anybody may have written."""

    architecture: Annotated[_Name, Field(max_length=100)] | None = None
    labels: Annotated[list[_Name], Field(max_length=MAX_CLASSES)] | None = None


def find(
    run: Run,
    wanted: str | None,
    architecture: str,
    labels: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    *,
    known: Collection[str] = (),
) -> Weights | None:
    """Return what to begin with, as the parameter `initialWeights` says, and note it in the report; None is random weights.

    Args:
        environment: VOTT_WEIGHTS names the folder of the image's own weights, where it is not /opt/weights.
        known: the architectures that the plugin has, for the message that says that they are of another one.

    Raises:
        InvalidParametersError: there are no such weights, or they are of another architecture.
    """
    if wanted == NONE:
        return None
    if wanted is None or wanted == BAKED:
        found = _baked(architecture, Path(environment.get("VOTT_WEIGHTS") or FOLDER), needed=wanted == BAKED)
    else:
        found = _fetched(run, wanted)
    if found is None:
        return None
    _check_architecture(found, architecture, known)
    run.note(_sentence(found, labels))
    return found


def start(model: nn.Module, weights: Weights | None, labels: Sequence[str], heads: Sequence[Head]) -> None:
    """Give `model` these weights; of its heads only what is about classes that both know, the rest stays as it is.

    Raises:
        InvalidParametersError: they do not fit.
    """
    if weights is None:
        return
    given = load_file(weights.path)
    for name, tensor in model.state_dict().items():
        head = next((head for head in heads if name.startswith(head.prefix)), None)
        if head:
            _copy_known(tensor, given.get(name), head, weights.labels or [], labels)
        elif name in given and given[name].shape == tensor.shape:
            tensor.copy_(given[name])
        elif not name.endswith(COUNTERS):
            raise _misfit(weights, name, given.get(name), tensor)


def save(model: nn.Module, folder: Path, architecture: str, labels: Sequence[str]) -> None:
    """Write `model.safetensors` and `labels.txt`."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # One entry: safetensors writes several in any order, and the same training must give the same bytes.
    about = json.dumps({"architecture": architecture, "labels": list(labels)}, ensure_ascii=False)
    save_file(tensors, folder / FILE, {ABOUT: about})
    (folder / LABELS_FILE).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")


def load(model: nn.Module, folder: Path) -> nn.Module:
    """Return `model` with the weights that `save` wrote, ready to predict."""
    missing, unexpected = model.load_state_dict(load_file(folder / FILE), strict=False)
    if wrong := [name for name in (*missing, *unexpected) if not name.endswith(COUNTERS)]:
        raise InvalidParametersError(f"{folder / FILE} is not of this network: {wrong[0]} and {len(wrong) - 1} others.")
    return model.eval()


def _baked(architecture: str, folder: Path, *, needed: bool) -> Weights | None:
    path = folder / f"{architecture}.safetensors"
    if path.exists():
        return _described(path, f"the image's weights for {architecture}")
    if not needed:
        return None
    known = ", ".join(sorted(path.stem for path in folder.glob("*.safetensors"))) or "none"
    raise InvalidParametersError(
        f"initialWeights: this trainer image brings no weights for {architecture} (it has: {known}). Leave out initialWeights, or ask the "
        "administrator for an image that was built with them."
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
    """Take the weights out of a model archive."""
    try:
        model_archive.extract_file(packed, FILE, path)
    except UsageError as error:
        raise InvalidParametersError(
            f"initialWeights: the file at {shown} is no model.tgz with {FILE} in it ({error.__cause__}). {REMEDY}"
        ) from error
    return path


def _described(path: Path, origin: str) -> Weights:
    try:
        with safe_open(path, "pt") as file:
            about = _About.model_validate_json((file.metadata() or {}).get(ABOUT, "{}"))
    except ValidationError as error:
        raise InvalidParametersError(
            f"initialWeights: {origin} says of itself what no model of this trainer says. {REMEDY}"
        ) from error
    except (OSError, SafetensorError) as error:
        told = redact(" ".join(str(error).split()))[:200]  # may quote the file
        told = told if is_single_line(told) else type(error).__name__
        raise InvalidParametersError(f"initialWeights: {origin} can't be read: {told}. {REMEDY}") from error
    return Weights(path, origin, about.architecture, about.labels)


def _check_architecture(found: Weights, architecture: str, known: Collection[str]) -> None:
    if found.architecture in (None, architecture):
        return
    if found.architecture in known:
        remedy = f"Set architecture to {found.architecture}, or name another model in initialWeights, and send the message again."
    else:
        remedy = f"This plugin has no such network. {REMEDY}" if known else REMEDY
    raise InvalidParametersError(
        f"initialWeights: {found.origin} is a {found.architecture}, this training one of {architecture}. {remedy}"
    )


def _sentence(found: Weights, labels: Sequence[str]) -> str:
    known = [label for label in labels if label in (found.labels or [])]
    new = [label for label in labels if label not in known]
    classes = f"classes that it knew already: {', '.join(known)}" if known else "all classes are new"
    also = f"; new: {', '.join(new)}" if known and new else ""
    return f"The training began with {found.origin} ({classes}{also})."


@torch.no_grad()
def _copy_known(tensor: Tensor, given: Tensor | None, head: Head, old: Sequence[str], new: Sequence[str]) -> None:
    if given is None or given.dim() != tensor.dim() or given.shape[1:] != tensor.shape[1:]:
        return
    if len(given) % ((len(old) + head.extra) * head.rows or 1):
        return
    pairs = [(number, number) for number in range(head.extra)] if old else []
    pairs += [(old.index(label) + head.extra, number + head.extra) for number, label in enumerate(new) if label in old]
    if not pairs:
        return
    source = given.reshape(-1, len(old) + head.extra, head.rows, *given.shape[1:])
    target = tensor.view(-1, len(new) + head.extra, head.rows, *tensor.shape[1:])
    if len(source) == len(target):
        origins, places = zip(*pairs, strict=True)
        target[:, list(places)] = source[:, list(origins)].to(target.dtype)


def _misfit(weights: Weights, name: str, given: Tensor | None, tensor: Tensor) -> InvalidParametersError:
    found = "is not in it" if given is None else f"has shape {_shape(given)}, not {list(tensor.shape)}"
    return InvalidParametersError(
        f"initialWeights: {weights.origin} does not fit this network: {name} {found}. {REMEDY}"
    )


def _shape(tensor: Tensor) -> str:
    """Return the shape as text; a file may have any number of dimensions."""
    return str(list(tensor.shape)) if tensor.dim() <= MOST_DIMENSIONS else f"of {tensor.dim()} dimensions"
