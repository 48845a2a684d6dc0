"""Load images from buildah's store into containerd by hard links, without copying.

Both store a layer as one folder in overlayfs format, in the cache and therefore on one file system, and neither changes a
stored layer in place. Export and import would write a 5 GB image three times.

Reads ``overlay-images/images.json`` and ``overlay-layers/layers.json`` of containers/storage. Creates through ``ctr`` one
snapshot per layer, named by its chain ID (OCI image specification, "Layer ChainID"), then config and manifest.
"""

import base64
import hashlib
import io
import json
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster.containerd import ctr, images
from localcluster.errors import LocalClusterError
from localcluster.progress import Step

_SNAPSHOTTER_LABEL = "containerd.io/gc.ref.snapshot.overlayfs"


@dataclass(frozen=True)
class _Layer:
    folder: Path
    chain_id: str


class StoredImage:
    """An image in buildah's store."""

    def __init__(self, store: Path, reference: str) -> None:
        records = json.loads((store / "overlay-images" / "images.json").read_text())
        record = next((record for record in records if reference in (record.get("names") or [])), None)
        if record is None:
            raise LocalClusterError(f"buildah's store {store} has no image {reference}")
        self._store = store
        self._folder = store / "overlay-images" / record["id"]
        self._top_layer: str = record["layer"]
        self.reference = reference

    def blobs(self) -> tuple[bytes, bytes]:
        """Manifest and config."""
        manifest = (self._folder / "manifest").read_bytes()
        digest = json.loads(manifest)["config"]["digest"]
        return manifest, (self._folder / ("=" + base64.b64encode(digest.encode()).decode())).read_bytes()

    def layers(self) -> list[_Layer]:
        """The layers with their chain IDs, lowest first."""
        records: dict[str, dict[str, Any]] = {
            record["id"]: record for record in json.loads((self._store / "overlay-layers" / "layers.json").read_text())
        }
        stack, layer_id = [], self._top_layer
        while layer_id:
            stack.append(records[layer_id])
            layer_id = records[layer_id].get("parent", "")
        layers: list[_Layer] = []
        for record in reversed(stack):
            digest = record["diff-digest"]
            chain_id = _sha256(f"{layers[-1].chain_id} {digest}".encode()) if layers else digest
            layers.append(_Layer(self._store / "overlay" / record["id"] / "diff", chain_id))
        return layers


def load_into_containerd(step: Step, image: StoredImage) -> None:
    """Load an image of buildah's store into containerd.

    Raises:
        LocalClusterError: containerd refused.
    """
    layers = image.layers()
    parent = ""
    for layer in layers:
        if not _snapshot_exists(layer.chain_id):
            _link_layer(step, layer, parent)
        parent = layer.chain_id
    manifest, config = image.blobs()
    ctr("images", "import", "--no-unpack", "-", stdin=_archive_without_layers(image.reference, manifest, config))
    ctr("content", "label", _sha256(config), f"{_SNAPSHOTTER_LABEL}={parent}")
    if image.reference not in images():
        raise LocalClusterError(f"containerd did not accept the image {image.reference}")


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _snapshot_exists(chain_id: str) -> bool:
    try:
        ctr("snapshots", "info", chain_id)
    except LocalClusterError:
        return False
    return True


def _link_layer(step: Step, layer: _Layer, parent: str) -> None:
    """Create a committed snapshot with hard links to the layer's files."""
    key = f"load-{layer.chain_id}"
    with suppress(LocalClusterError):
        ctr("snapshots", "rm", key)  # left by a killed run
    mount = json.loads(ctr("snapshots", "prepare", "--mounts", key, *([parent] if parent else [])))[0]
    step.run(["cp", "--archive", "--link", f"{layer.folder}/.", _upper_folder(mount)])
    ctr("snapshots", "commit", layer.chain_id, key)


def _upper_folder(mount: dict[str, Any]) -> str:
    """The folder of a snapshot's own files: a bind mount for the lowest one, otherwise the overlay's upper folder."""
    options = [option.partition("=") for option in mount.get("Options") or mount.get("options") or []]
    uppers = [value for name, _, value in options if name == "upperdir"]
    return uppers[0] if uppers else str(mount.get("Source") or mount["source"])


def _archive_without_layers(reference: str, manifest: bytes, config: bytes) -> bytes:
    """An OCI image layout as a tar without layers, because their snapshots exist already."""
    descriptor = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": _sha256(manifest),
        "size": len(manifest),
        "annotations": {"io.containerd.image.name": reference},
    }
    files = {
        "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode(),
        f"blobs/sha256/{_sha256(manifest).removeprefix('sha256:')}": manifest,
        f"blobs/sha256/{_sha256(config).removeprefix('sha256:')}": config,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
