"""Images and containers of containerd, through its client ``ctr``."""

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.node_programs import CONTAINERD_SOCKET, PAUSE_IMAGE

_NAMESPACE = "k8s.io"  # the kubelet's


def ctr_command(*arguments: str | Path) -> list[str]:
    """Command line of ``ctr`` for the kubelet's namespace."""
    return ["ctr", "--address", str(CONTAINERD_SOCKET), "--namespace", _NAMESPACE, *map(str, arguments)]


def ctr(*arguments: str | Path, stdin: bytes | None = None) -> str:
    """Run ``ctr`` and return its output.

    Raises:
        LocalClusterError: ``ctr`` failed.
    """
    done = subprocess.run(ctr_command(*arguments), input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise LocalClusterError(
            f"ctr {' '.join(map(str, arguments))} failed: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout.decode()


def images() -> list[str]:
    """References of all images."""
    return ctr("images", "ls", "-q").split()


def images_in_use() -> set[str]:
    """References of the images that containers use."""
    rows = ctr("containers", "ls").splitlines()[1:]
    return {row.split()[1] for row in rows if len(row.split()) > 1}


def remove_containers() -> None:
    """Remove the containers of an earlier cluster, but not the images."""
    if containers := ctr("containers", "ls", "-q").split():
        ctr("containers", "rm", *containers)


def ensure_pause_image(pause: Path) -> None:
    """Import the pause program as an image, if it is missing."""
    if PAUSE_IMAGE not in images():
        ctr("images", "import", "-", stdin=_image_archive(PAUSE_IMAGE, pause))


def _image_archive(reference: str, program: Path) -> bytes:
    """An image with one static program, in the format of ``docker save``."""
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    layer_id = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_id}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    return _tar(
        {"config.json": json.dumps(config).encode(), "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    )


def _tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
