"""The trained weights that an image brings (trainer-image/bake_weights.py)."""

import hashlib
import json
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.component import Component, ComponentType

from sbom.part import Part

_LENGTH_BYTES = 8  # of the header, https://github.com/huggingface/safetensors#format


def weights(folder: Path) -> list[Part]:
    """Return them with what they were made of."""
    return [Part(_component(path)) for path in sorted(folder.glob("*.safetensors"))]


def _component(path: Path) -> Component:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(_LENGTH_BYTES), "little")))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    about = json.loads(header["__metadata__"]["vott"])
    return Component(
        name=about["architecture"], version=about["sha256"], type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"weights/{path.name}", hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        properties=[Property(name="vott:origin", value=about["origin"]), Property(name="vott:file", value=str(path))],
    )  # fmt: skip
