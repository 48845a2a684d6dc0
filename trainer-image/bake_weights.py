"""Put trained weights into an image while it is built: `python bake_weights.py FOLDER [NAME[@sha256:DIGEST] ...]`.

NAME is an architecture (docs/plugins.md). Each becomes NAME.safetensors, as `vott_trainer.weights` reads it: nothing is fetched when an
image runs. torchvision's files carry the first 8 hex digits of their SHA-256 in their names, which is checked; so is all of it where
a DIGEST is given, and the build's output tells it. Others need one.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

PUBLISHED = {name: f"Roboflow/{name.replace('_', '-')}" for name in ("rf_detr_nano", "rf_detr_small", "rf_detr_medium")}
BACKGROUND = "__background__"  # torchvision counts it as COCO's class 0


def main(folder: Path, names: Sequence[str]) -> None:
    """Fetch the weights of all these architectures."""
    folder.mkdir(parents=True, exist_ok=True)
    for wanted in names:
        name, _, digest = wanted.partition("@sha256:")
        if name in PUBLISHED:
            bake_transformers(name, PUBLISHED[name], digest, folder)
        else:
            weights = models.get_model_weights(name).DEFAULT
            bake_torchvision(name, weights.url, weights.meta["categories"], digest, folder)


def bake_torchvision(name: str, url: str, categories: Sequence[str], digest: str, folder: Path) -> None:
    """Fetch a state of torchvision; its file name tells how its SHA-256 begins."""
    state = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    detects = categories[0] == BACKGROUND
    tensors = state if detects else {f"network.{key}": tensor for key, tensor in state.items()}
    _save(name, tensors, categories[1:] if detects else categories, url, _checked(name, path, digest), folder)


def bake_transformers(name: str, source: str, digest: str, folder: Path) -> None:
    """Fetch a published model, which knows COCO's classes by COCO's own numbers; `source` may also be a folder."""
    from transformers import RfDetrForObjectDetection
    from transformers.utils import cached_file

    cached_file(source, "config.json")
    path = Path(cached_file(source, "model.safetensors") or "")
    sha256 = _checked(name, path, digest)
    if not digest:
        sys.exit(
            f"{name}: nothing says which file is the right one. If you trust this one, write {name}@sha256:{sha256}"
        )
    # From the folder of the file that was checked, not from what is published by now.
    state = RfDetrForObjectDetection.from_pretrained(path.parent, use_safetensors=True).state_dict()  # nosec B615
    tensors = {f"network.{key}": tensor for key, tensor in state.items()}
    categories = models.get_model_weights("fcos_resnet50_fpn").DEFAULT.meta["categories"]
    _save(name, tensors, categories, source, sha256, folder)


def _checked(name: str, path: Path, digest: str) -> str:
    """Return a file's SHA-256; end the build if another one is wanted."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if digest not in ("", found):
        path.resolve().unlink()  # else a cache would give it again
        sys.exit(f"{name}: the file has SHA-256 {found}, not {digest}")
    print(f"{name}@sha256:{found}")
    return found


def _save(name: str, tensors: dict[str, Tensor], labels: Sequence[str], origin: str, sha256: str, folder: Path) -> None:
    about = {"architecture": name, "labels": list(labels), "origin": origin, "sha256": sha256}
    contiguous = {key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()}
    save_file(contiguous, folder / f"{name}.safetensors", {"vott": json.dumps(about)})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
