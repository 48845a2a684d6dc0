"""Put pretrained weights into the image at build time: `python bake_weights.py FOLDER [NAME[@sha256:DIGEST] ...]`.

NAME is an architecture (docs/plugins.md). Each becomes NAME.safetensors, as `vott_trainer.learning.initial_weights` reads it, so that nothing is
fetched at run time. A file, downloaded or cached, must have the given SHA-256. Without one, files of RF-DETR and D-FINE must have the
one below, and torchvision's are checked by the first 8 hex digits in their names; other files are refused. The output says what was checked.

`NAME@untrained` bakes a classifier with random weights, for tests without internet.
"""

import argparse
import hashlib
import json
import re
import sys
import types
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision import models

from vott_trainer.vision.detr_configurations import D_FINE, RF_DETR


class Published(NamedTuple):
    """A file of trained weights."""

    url: str
    sha256: str


# The authors publish the MD5 of RF-DETR's files (rfdetr/assets/model_weights.py), several users both digests.
_ROBOFLOW = "https://storage.googleapis.com/rfdetr"
_D_FINE = "https://huggingface.co/ustc-community/dfine"
DETRS = {
    "rf_detr_nano": Published(
        f"{_ROBOFLOW}/nano_coco/checkpoint_best_regular.pth",
        "d8d6b9ee57d4d0ed2b1f305163624712a0532cb7bce0c747317984fc5457440d",
    ),
    "rf_detr_small": Published(
        f"{_ROBOFLOW}/small_coco/checkpoint_best_regular.pth",
        "d81979a9213a2109345158ce9232668df4c1ae52e9b8db3f2ec0a8cbad959b33",
    ),
    "rf_detr_medium": Published(
        f"{_ROBOFLOW}/medium_coco/checkpoint_best_regular.pth",
        "749ff6071828aaffac63e204c4f4135ed3d6cdae4d702e086c360edc3b5768c8",
    ),
    "rf_detr_large": Published(
        f"{_ROBOFLOW}/rf-detr-large-2026.pth", "0f4e20e19a99c0f8a62b5685f57f6c8b5c371c59081feda6752a0561a79ccf38"
    ),
    "d_fine_nano": Published(
        f"{_D_FINE}-nano-coco/resolve/066438d3d8f0da137a37b38fdf3368fd4afceced/model.safetensors",
        "19e06bdc873da819920a8d373b879721a5b9759d822f8213220bb09abbdab58b",
    ),
    "d_fine_small": Published(
        f"{_D_FINE}-small-coco/resolve/f79e65b5fbb33ceb9d3ebba042955d7410c608f8/model.safetensors",
        "a144baff3a27bfd538fe37b11fa8d4fca5744b8c054b5301e7c699a1379cd18f",
    ),
}
BACKGROUND = "__background__"  # class 0 of torchvision's COCO labels
SPECIFICATION = re.compile(r"(?P<name>\w+)(@sha256:(?P<digest>[0-9a-f]{64})|@(?P<untrained>untrained))?")
DIGEST_IN_NAME = re.compile(r"-(?P<digits>[0-9a-f]{8,})\.pth")


def main(folder: Path, names: Sequence[str]) -> None:
    """Bake the weights of all these architectures."""
    folder.mkdir(parents=True, exist_ok=True)
    for specification in names:
        if not (found := SPECIFICATION.fullmatch(specification)):
            sys.exit(f"{specification}: expected NAME or NAME@sha256:DIGEST with 64 lower-case hex digits")
        name, digest = found["name"], found["digest"] or ""
        if name in DETRS:
            bake_detr(name, digest, folder)
        elif found["untrained"]:
            bake_untrained(name, folder)
        else:
            weights = models.get_model_weights(name).DEFAULT
            bake_torchvision(name, weights.url, weights.meta["categories"], digest, folder)


def bake_torchvision(name: str, url: str, categories: Sequence[str], digest: str, folder: Path) -> None:
    """Bake a state dict of torchvision, whose file name holds the start of its SHA-256."""
    path = _cached(url.rpartition("/")[2])
    if not path.exists():
        torch.hub.download_url_to_file(url, str(path), progress=False)
    digits = DIGEST_IN_NAME.search(path.name)
    sha256 = _checked(name, path, digest, digits["digits"] if digits else "")
    state = torch.load(path, map_location="cpu", weights_only=True)
    is_detector = categories[0] == BACKGROUND
    tensors = state if is_detector else {f"network.{key}": tensor for key, tensor in state.items()}
    _save(name, tensors, categories[1:] if is_detector else categories, url, sha256, folder)


def bake_untrained(name: str, folder: Path) -> None:
    """Bake a classifier of torchvision with random weights, through a file like torchvision's."""
    torch.manual_seed(0)
    content = BytesIO()
    torch.save(models.get_model(name, weights=None).state_dict(), content)
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    path = _cached(f"{name}-{sha256[:8]}.pth")
    path.write_bytes(content.getvalue())
    categories = models.get_model_weights(name).DEFAULT.meta["categories"]
    bake_torchvision(name, f"untrained/{path.name}", categories, "", folder)


def bake_detr(name: str, digest: str, folder: Path) -> None:
    """Bake a published RF-DETR or D-FINE."""
    url, sha256 = DETRS[name]
    path = _cached(f"{name}{Path(url).suffix}")
    if not path.exists():
        torch.hub.download_url_to_file(url, str(path), progress=False)
    sha256 = _checked(name, path, digest or sha256)
    tensors, info = _converted(name, _state(path))
    if (
        wrong := [key for key in info["missing_keys"] if not key.endswith("num_batches_tracked")]
        or info["mismatched_keys"]
    ):
        sys.exit(f"{name}: the file does not fit this network: {wrong[0]} and {len(wrong) - 1} others")
    categories = models.get_model_weights("fcos_resnet50_fpn").DEFAULT.meta[
        "categories"
    ]  # RF-DETR's classes are COCO's numbers
    labels = categories if name in RF_DETR else [one for one in categories if one not in (BACKGROUND, "N/A")]
    _save(name, {f"network.{key}": tensor for key, tensor in tensors.items()}, labels, url, sha256, folder)


def _state(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    # A checkpoint of the authors' training also holds its arguments.
    with torch.serialization.safe_globals([argparse.Namespace, types.SimpleNamespace]):
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["model"]
    return state


def _converted(name: str, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the authors' tensors under the names that `transformers` gives them, and what did not fit."""
    import transformers

    if name in RF_DETR:
        network, config = (
            transformers.RfDetrForObjectDetection,
            transformers.RfDetrConfig(**RF_DETR[name], num_labels=91),
        )
    else:
        network, config = transformers.DFineForObjectDetection, transformers.DFineConfig(**D_FINE[name], num_labels=80)
    model, info = network.from_pretrained(None, config=config, state_dict=state, output_loading_info=True)
    return model.state_dict(), info


def _cached(file: str) -> Path:
    """Return the path of a file in torch's download cache."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / file


def _checked(name: str, path: Path, digest: str, digits: str = "") -> str:
    """Check a file against its SHA-256 or the first digits of it, and print which. End the build if it differs, or if neither is known."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    pinned = f"{name}@sha256:{sha256}"
    if not digest and not digits:
        sys.exit(f"{name}: no SHA-256 is known for this file. If you trust it, write {pinned}")
    if sha256 != digest if digest else not sha256.startswith(digits):
        path.resolve().unlink()  # or the cache would return it again
        sys.exit(f"{name}: the file has SHA-256 {sha256}, not {digest or digits + '…, as in its name'}")
    if digest:
        print(f"{pinned}: the whole SHA-256 was checked")
    else:
        print(f"{pinned}: only the first {len(digits)} hex digits were checked; write it like this to pin the file")
    return sha256


def _save(name: str, tensors: dict[str, Tensor], labels: Sequence[str], origin: str, sha256: str, folder: Path) -> None:
    metadata = {"architecture": name, "labels": list(labels), "origin": origin, "sha256": sha256}
    contiguous = {key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()}
    path = folder / f"{name}.safetensors"
    save_file(contiguous, path, {"vott": json.dumps(metadata)})
    path.chmod(0o644)  # safetensors makes it readable to the owner only; trainings run as another user


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
