"""Components for the weights in an image, which trainer-image/bake_weights.py wrote."""

import hashlib
import json
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.component import Component, ComponentType

from sbom.components import LinkedComponent

_LENGTH_BYTES = 8  # size of the header's length, https://github.com/huggingface/safetensors#format


def weights(folder: Path) -> list[LinkedComponent]:
    """The weights, with hash and origin."""
    return [LinkedComponent(_component(path)) for path in sorted(folder.glob("*.safetensors"))]


def _component(path: Path) -> Component:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(_LENGTH_BYTES), "little")))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    metadata = json.loads(header["__metadata__"]["vott"])
    return Component(
        name=metadata["architecture"], version=metadata["sha256"], type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"weights/{path.name}", hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        properties=[Property(name="vott:origin", value=metadata["origin"]), Property(name="vott:file", value=str(path))],
    )  # fmt: skip
