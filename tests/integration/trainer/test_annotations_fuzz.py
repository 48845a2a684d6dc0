"""Whatever a file holds: what comes of it is sound, or it is refused in this project's own words, with file and place."""

import math
import re
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from tests.unit.trainer.annotation_files import spoiled, well_formed
from vott_trainer.annotations import Annotations, Format, read
from vott_trainer.errors import BadAnnotationsError
from vott_trainer.http.urls import is_http

FILES = 10_000
QUERY = "?sv=1&sig=SECRET"
PLACE = re.compile(
    r"line \d+|byte \d+|(asset|image|annotation|category) ('|\d|number \d)|region \d+ of asset"
    r"|holds no annotated object|expected JSON|expected \w+ to be a list|is JSON, but neither|is a VoTT project without"
    r"|expected each name once|expected a VoTT export|expected assets to be|is a web page or XML|is text in UTF-16|is a ZIP archive"
)


@pytest.mark.parametrize("part", range(4))
def test_no_file_raises_anything_but_the_projects_own_error_with_its_place(part: int, tmp_path: Path) -> None:
    refused = 0
    for number in range(part * FILES // 4, (part + 1) * FILES // 4):
        refused += is_refused(Random(number), tmp_path / "file")
    assert FILES / 4 * 0.1 < refused < FILES / 4 * 0.9  # of both kinds there were many


def is_refused(rng: Random, path: Path) -> bool:
    kind, content = spoiled(rng) if rng.random() < 0.8 else well_formed(rng)
    path.write_bytes(content)
    annotation_format = rng.choice(["auto", "auto", kind, kind, *get_args(Format)])
    images_url = rng.choice([None, "images", "https://elsewhere/"])
    try:
        found = read(
            path, "a.file", annotation_format=annotation_format, annotations_url=f"https://store/f{QUERY}", images_url=images_url
        )  # fmt: skip
    except BadAnnotationsError as error:
        said = str(error)
        assert said.startswith("a.file "), said
        assert PLACE.search(said), said
        assert QUERY not in said
        assert len(said) < 3000
        said.encode()
        return True
    check(found)
    return False


def check(found: Annotations) -> None:
    assert found.labels == sorted(set(found.labels))
    assert len({image.url for image in found.images}) == len(found.images)
    for image in found.images:
        assert is_http(image.url)
        image.url.encode()
        for box in image.boxes:
            assert box.label in found.labels
            assert all(map(math.isfinite, (box.x, box.y)))
            assert box.width > 0 < box.height
    assert all(label.encode() and "\n" not in label for label in found.labels)
    assert QUERY not in str(found.findings)


def test_well_formed_files_are_read_by_themselves(tmp_path: Path) -> None:
    for number in range(500):
        kind, content = well_formed(Random(number))
        path = tmp_path / "file"
        path.write_bytes(content)
        try:
            found = read(path, "a.file", annotations_url="https://store/f")
        except BadAnnotationsError as error:
            assert "holds no annotated object" in str(error), (kind, error)  # noqa: PT017 - empty files are fine, too
        else:
            assert found.findings == [], kind
