"""Mount a Secret as the kubelet does: files are links through `..data`, which an update swaps atomically."""

import uuid
from collections.abc import Mapping
from pathlib import Path


def mount_secret(folder: Path, variables: Mapping[str, str]) -> Path:
    """Mount a Secret, or update a mounted one atomically; return the folder."""
    content = folder / f"..{uuid.uuid4().hex}"
    content.mkdir(parents=True)
    for name, value in variables.items():
        (content / name).write_text(value)
    (folder / "..new").symlink_to(content.name)
    (folder / "..new").replace(folder / "..data")
    for name in variables:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data", name))
    for old in folder.glob("[!.]*"):
        if old.name not in variables:
            old.unlink()
    return folder
