"""A model's weights as safetensors, which can't execute code when loaded: write, load, and read the metadata.

A file's metadata name its architecture and labels, so that classes shared by two models keep what was learned.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from vott_trainer.annotations.limits import MAX_CLASSES, MAX_LABEL_LENGTH
from vott_trainer.annotations.values import is_single_line
from vott_trainer.errors import InvalidParametersError

FILE = "model.safetensors"
METADATA_KEY = "vott"
LABELS_FILE = "labels.txt"
COUNTERS = "num_batches_tracked"  # unused here, and absent from frozen batch normalization


def _line(text: str) -> str:
    if not is_single_line(text):
        raise ValueError("expected one line of text")
    return text


_Name = Annotated[str, Field(min_length=1, max_length=MAX_LABEL_LENGTH), AfterValidator(_line)]


class Metadata(BaseModel):
    """The metadata of a file: untrusted input."""

    architecture: Annotated[_Name, Field(max_length=100)] | None = None
    labels: Annotated[list[_Name], Field(max_length=MAX_CLASSES)] | None = None


def save(model: nn.Module, folder: Path, architecture: str, labels: Sequence[str]) -> None:
    """Write `model.safetensors` and `labels.txt`."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # A single entry: safetensors writes several in random order, and the same training must give the same bytes.
    metadata = json.dumps({"architecture": architecture, "labels": list(labels)}, ensure_ascii=False)
    save_file(tensors, folder / FILE, {METADATA_KEY: metadata})
    (folder / LABELS_FILE).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")


def load(model: nn.Module, folder: Path) -> nn.Module:
    """Load the weights that `save` wrote into `model`; return it in evaluation mode.

    Raises:
        InvalidParametersError: they do not fit the network.
    """
    missing, unexpected = model.load_state_dict(load_file(folder / FILE), strict=False)
    if wrong := [name for name in (*missing, *unexpected) if not name.endswith(COUNTERS)]:
        raise InvalidParametersError(
            f"{folder / FILE} does not fit this network: {wrong[0]} and {len(wrong) - 1} others."
        )
    return model.eval()


def read_metadata(path: Path) -> Metadata:
    """Read the metadata of a file; those of another program are empty.

    Raises:
        ValidationError: they are invalid.
        OSError: the file can't be read.
        SafetensorError: it is not safetensors.
    """
    with safe_open(path, "pt") as file:
        return Metadata.model_validate_json((file.metadata() or {}).get(METADATA_KEY, "{}"))
