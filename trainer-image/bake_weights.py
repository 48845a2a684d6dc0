"""Put pretrained weights into the image at build time: `python bake_weights.py FOLDER [NAME[@sha256:DIGEST] ...]`.

NAME is an architecture (docs/plugins.md). Each becomes NAME.safetensors, as `vott_trainer.learning.initial_weights` reads it, so that nothing is
fetched at run time. A file, downloaded or cached, must have the given SHA-256. Without one, torchvision's files are checked by the first
8 hex digits in their names; other files are refused. The output says what was checked.

`NAME@untrained` bakes a classifier with random weights, for tests without internet.
"""

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

PUBLISHED = {name: f"Roboflow/{name.replace('_', '-')}" for name in ("rf_detr_nano", "rf_detr_small", "rf_detr_medium")}
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
        if name in PUBLISHED:
            bake_transformers(name, PUBLISHED[name], digest, folder)
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


def bake_transformers(name: str, source: str, digest: str, folder: Path) -> None:
    """Bake a published model of Hugging Face, whose classes have COCO's numbers; `source` may also be a folder."""
    from transformers import RfDetrForObjectDetection
    from transformers.utils import cached_file

    cached_file(source, "config.json")
    path = Path(cached_file(source, "model.safetensors") or "")
    sha256 = _checked(name, path, digest)
    # Load the checked file's folder: the published one may have changed.
    state = RfDetrForObjectDetection.from_pretrained(path.parent, use_safetensors=True).state_dict()  # nosec B615
    tensors = {f"network.{key}": tensor for key, tensor in state.items()}
    categories = models.get_model_weights("fcos_resnet50_fpn").DEFAULT.meta["categories"]
    _save(name, tensors, categories, source, sha256, folder)


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
