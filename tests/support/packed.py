"""Archives with the files of a dictionary, and the smallest images and annotations to put in."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

Files = Mapping[str, Any]
"""Texts or bytes by their names."""


def packed(path: Path, files: Files, kind: str = "zip") -> Path:
    """Write an archive of a type: `zip`, `tar` or `tar.gz`."""
    path.write_bytes(archive(files, kind))
    return path


def archive(files: Files, kind: str = "zip") -> bytes:
    """An archive of a type: `zip`, `tar` or `tar.gz`."""
    contents = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in contents.items():
                zipped.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0) if kind == "tar.gz" else buffer.getvalue()


def image(number: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    """A small PNG; another number gives other pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (number % 256, number // 256 % 256, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def voc(name: str, label: str = "cat", corners: tuple[float, float, float, float] = (1, 2, 4, 6)) -> str:
    """Pascal VOC's file of an image with one object."""
    sides = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    bounds = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
    return f"<annotation>\n<filename>{name}</filename>\n<object><name>{label}</name><bndbox>{bounds}</bndbox></object></annotation>"
