"""Write files only when they change, for programs that watch them."""

from pathlib import Path


def write_if_changed(path: Path, content: bytes | str) -> Path:
    """Write a file readable by its owner only, unless it is unchanged: kube-proxy exits when its configuration is written."""
    data = content.encode() if isinstance(content, str) else content
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.touch(mode=0o600)
        new.write_bytes(data)
        new.replace(path)
    return path
