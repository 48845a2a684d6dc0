"""Reads JSON of labelling tools in tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from vott_trainer.annotations import Annotations, Box, read
from vott_trainer.errors import BadAnnotationsError

FOLDER = "https://store/images"
CAT = Box(0.1, 0.2, 0.3, 0.4, "cat", normalized=True)


def parsed(
    document: Any, tmp_path: Path, *, images_url: str | None = FOLDER, annotation_format: Any = "auto"
) -> Annotations:
    """Read a document, or JSON lines as text."""
    path = tmp_path / "file"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    url = "https://store/a.json"
    return read(path, "a.json", annotation_format=annotation_format, annotations_url=url, images_url=images_url)


def refusal(document: Any, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(document, tmp_path, **options)
    return str(error.value)


def boxes(document: Any, tmp_path: Path) -> list[Box]:
    found = parsed(document, tmp_path)
    return [box for image in found.images for box in image.boxes]


def corners(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.x + box.width, box.y + box.height


def whats(found: Annotations) -> list[str]:
    return [finding.what for finding in found.findings]


def lines(*records: Any) -> str:
    return "\n".join(map(json.dumps, records)) + "\n"
