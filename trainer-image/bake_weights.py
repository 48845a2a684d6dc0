"""Put trained weights into an image while it is built: `python bake_weights.py FOLDER [NAME[@sha256:DIGEST] ...]`.

NAME is an architecture (docs/plugins.md). Each becomes NAME.safetensors, as `vott_trainer.learning.weights` reads it: nothing is fetched when an
image runs. A file, fetched now or lying in a cache, must have the SHA-256 that is given. Without one, torchvision's are checked by the first
8 hex digits, which are in their names; others are refused. The build's output says what was checked.

`NAME@untrained` bakes a classifier that has learned nothing, by the same way: for trying an image where there is no internet.
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
BACKGROUND = "__background__"  # torchvision counts it as COCO's class 0
WANTED = re.compile(r"(?P<name>\w+)(@sha256:(?P<digest>[0-9a-f]{64})|@(?P<untrained>untrained))?")
NAMED_BY_DIGEST = re.compile(r"-(?P<digits>[0-9a-f]{8,})\.pth")


def main(folder: Path, names: Sequence[str]) -> None:
    """Fetch the weights of all these architectures."""
    folder.mkdir(parents=True, exist_ok=True)
    for wanted in names:
        if not (found := WANTED.fullmatch(wanted)):
            sys.exit(f"{wanted}: expected NAME or NAME@sha256:DIGEST with 64 lower-case hex digits")
        name, digest = found["name"], found["digest"] or ""
        if name in PUBLISHED:
            bake_transformers(name, PUBLISHED[name], digest, folder)
        elif found["untrained"]:
            bake_untrained(name, folder)
        else:
            weights = models.get_model_weights(name).DEFAULT
            bake_torchvision(name, weights.url, weights.meta["categories"], digest, folder)


def bake_torchvision(name: str, url: str, categories: Sequence[str], digest: str, folder: Path) -> None:
    """Fetch a state of torchvision; its file name tells how its SHA-256 begins."""
    path = _cached(url.rpartition("/")[2])
    if not path.exists():
        torch.hub.download_url_to_file(url, str(path), progress=False)
    named = NAMED_BY_DIGEST.search(path.name)
    sha256 = _checked(name, path, digest, named["digits"] if named else "")
    state = torch.load(path, map_location="cpu", weights_only=True)
    detects = categories[0] == BACKGROUND
    tensors = state if detects else {f"network.{key}": tensor for key, tensor in state.items()}
    _save(name, tensors, categories[1:] if detects else categories, url, sha256, folder)


def bake_untrained(name: str, folder: Path) -> None:
    """Bake a classifier of torchvision with random weights, from a file such as torchvision's."""
    torch.manual_seed(0)
    content = BytesIO()
    torch.save(models.get_model(name, weights=None).state_dict(), content)
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    path = _cached(f"{name}-{sha256[:8]}.pth")
    path.write_bytes(content.getvalue())
    categories = models.get_model_weights(name).DEFAULT.meta["categories"]
    bake_torchvision(name, f"untrained/{path.name}", categories, "", folder)


def bake_transformers(name: str, source: str, digest: str, folder: Path) -> None:
    """Fetch a published model, which knows COCO's classes by COCO's own numbers; `source` may also be a folder."""
    from transformers import RfDetrForObjectDetection
    from transformers.utils import cached_file

    cached_file(source, "config.json")
    path = Path(cached_file(source, "model.safetensors") or "")
    sha256 = _checked(name, path, digest)
    # From the folder of the file that was checked, not from what is published by now.
    state = RfDetrForObjectDetection.from_pretrained(path.parent, use_safetensors=True).state_dict()  # nosec B615
    tensors = {f"network.{key}": tensor for key, tensor in state.items()}
    categories = models.get_model_weights("fcos_resnet50_fpn").DEFAULT.meta["categories"]
    _save(name, tensors, categories, source, sha256, folder)


def _cached(file: str) -> Path:
    """Return where torch keeps a downloaded file."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / file


def _checked(name: str, path: Path, digest: str, begins: str = "") -> str:
    """Return a file's SHA-256 and print what it was compared with; end the build if it is not the right one, or nothing says which is."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    pinned = f"{name}@sha256:{found}"
    if not digest and not begins:
        sys.exit(f"{name}: nothing says which file is the right one. If you trust this one, write {pinned}")
    if found != digest if digest else not found.startswith(begins):
        path.resolve().unlink()  # else a cache would give it again
        sys.exit(f"{name}: the file has SHA-256 {found}, not {digest or begins + '…, which its name tells'}")
    if digest:
        print(f"{pinned}: the whole SHA-256 was checked")
    else:
        print(f"{pinned}: only the first {len(begins)} hex digits were checked; write it like this to pin the file")
    return found


def _save(name: str, tensors: dict[str, Tensor], labels: Sequence[str], origin: str, sha256: str, folder: Path) -> None:
    about = {"architecture": name, "labels": list(labels), "origin": origin, "sha256": sha256}
    contiguous = {key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()}
    path = folder / f"{name}.safetensors"
    save_file(contiguous, path, {"vott": json.dumps(about)})
    path.chmod(0o644)  # safetensors lets only the owner read, and trainings run as another user


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
