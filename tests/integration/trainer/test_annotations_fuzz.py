"""Fuzzing of the annotation reader: random files give valid annotations, or an error with file and position."""

import math
import re
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from tests.support.annotation_files import damaged, well_formed
from vott_guard.urls import is_url
from vott_trainer.annotations import Annotations, Format, read
from vott_trainer.errors import BadAnnotationsError

FILES = 10_000
QUERY = "?sv=1&sig=SECRET"
POSITION = re.compile(
    r"line \d+|each line has \d+ (fields|numbers)|byte \d+|(asset|image|annotation|category|frame|task) ('|\d|number \d)"
    r"|(region|object|tag) \d+ of (asset|frame|task|image)"
    r"|has no annotated object|expected JSON|expected \w+ to be (a list|an object)|is JSON, but neither|is a VoTT project without"
    r"|expected unique names|expected a VoTT export|expected assets to be|is text in UTF-16|is a ZIP archive"
    r"|has two (images|categories) with the id|is COCO (for|with)|is JSON of|expected a list of tasks"
    r"|is XML with|declares the XML entity|expected XML in UTF-8|is (not )?in the format|expected the URL of an image"
    r"|holds |is a damaged|is compressed with|is encrypted|has (no )?annotations in|would both be its image|grow to more than"
    r"|expected (an?|one|the name of an) image|data.yaml expected|expected text in UTF-8|is no archive|is YOLO's file of one image"
    r"|expected percent of the image|has (numbers such as|lines with several classes)|is a list of classes"
)


@pytest.mark.parametrize("part", range(4))
def test_random_file_is_read_or_refused_with_its_position(part: int, tmp_path: Path) -> None:
    refused = 0
    for number in range(part * FILES // 4, (part + 1) * FILES // 4):
        refused += is_refused(Random(number), tmp_path / "file")
    assert FILES / 4 * 0.1 < refused < FILES / 4 * 0.9  # many are read, many refused


def is_refused(rng: Random, path: Path) -> bool:
    """Whether a random file is refused; check the error, or else the annotations."""
    kind, content = damaged(rng) if rng.random() < 0.8 else well_formed(rng)
    path.write_bytes(content)
    annotation_format = rng.choice(["auto", kind, rng.choice(get_args(Format))])
    images_url = rng.choice([None, "images", "https://elsewhere/"])
    try:
        annotations = read(
            path, "a.file", annotation_format=annotation_format, annotations_url=f"https://store/f{QUERY}", images_url=images_url
        )  # fmt: skip
    except BadAnnotationsError as error:
        text = str(error)
        assert text.startswith("a.file "), text
        assert POSITION.search(text), text
        assert QUERY not in text
        assert len(text) < 3000
        text.encode()
        return True
    check_valid(annotations)
    return False


def check_valid(annotations: Annotations) -> None:
    assert annotations.labels == sorted(set(annotations.labels))
    assert len({image.url for image in annotations.images}) == len(annotations.images)
    for image in annotations.images:
        assert is_url(image.url) or image.url in annotations.files
        image.url.encode()
        for box in image.boxes:
            assert box.label in annotations.labels
            assert all(map(math.isfinite, (box.x, box.y)))
            assert box.width >= 0 <= box.height
            rings = [ring for polygon in box.outline or () for ring in polygon]
            assert all(len(ring) >= 4 and len(ring) % 2 == 0 and all(map(math.isfinite, ring)) for ring in rings)
    assert all(label.encode() and "\n" not in label for label in annotations.labels)
    assert QUERY not in str(annotations.findings)


def test_format_of_a_valid_file_is_detected(tmp_path: Path) -> None:
    for number in range(500):
        kind, content = well_formed(Random(number))
        path = tmp_path / "file"
        path.write_bytes(content)
        try:
            annotations = read(path, "a.file", annotations_url="https://store/f")
        except BadAnnotationsError as error:
            assert "has no annotated object" in str(error) or "no annotations in a known" in str(error), (kind, error)  # noqa: PT017 - it may be empty
        else:
            assert [finding for finding in annotations.findings if finding.kind != "file"] == [], kind
