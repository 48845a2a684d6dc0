"""docs/annotations.md shows files that the trainer reads, and names what exists."""

import re
from pathlib import Path
from typing import get_args

import pytest

from vott_trainer.annotations import Annotations, Box, Format, coco, csv_file, json_file, read
from vott_trainer.annotations.findings import MOST_LISTED
from vott_trainer.annotations.links import LONGEST
from vott_trainer.annotations.model import MOST_BOXES, MOST_CLASSES, MOST_ENTRIES
from vott_trainer.annotations.reading import MOST_NAMED
from vott_trainer.annotations.values import FARTHEST, LONGEST_LABEL
from vott_trainer.data import images
from vott_trainer.data.images import MOST_PIXELS, Limits
from vott_trainer.data.jpeg import MOST_FILL, MOST_SCANS, MOST_SEGMENTS
from vott_trainer.errors import BadAnnotationsError
from vott_trainer.http.image_cache import DEFAULT_LIMIT
from vott_trainer.stores import archive
from vott_trainer.training_run import ANNOTATIONS_LIMIT, FILE_LIMIT

PAGE = (Path(__file__).parents[3] / "docs/annotations.md").read_text(encoding="utf-8")
LIMITS = PAGE.partition("\n## Limits\n")[2].partition("\n## ")[0]
EXAMPLES: dict[str, str] = dict(re.findall(r"```(?:csv|json) (\S+)\n(.*?)```", PAGE, re.DOTALL))
CAT = Box(48, 240, 195, 371, "cat")


def example(kind: str, tmp_path: Path, annotation_format: Format = "auto") -> Annotations:
    (tmp_path / "file").write_text(EXAMPLES[kind], encoding="utf-8")
    url = "https://store.example/cats/file"
    return read(tmp_path / "file", "file", annotation_format=annotation_format, annotations_url=url)


def test_every_format_has_a_section_and_an_example() -> None:
    assert set(EXAMPLES) == set(get_args(Format)) - {"auto"}
    assert all(f"\n### `{kind}`: " in PAGE for kind in EXAMPLES)


@pytest.mark.parametrize("kind", sorted(set(EXAMPLES) - {"corners"}))
def test_example_is_told_by_itself(kind: str, tmp_path: Path) -> None:
    found = example(kind, tmp_path)
    assert found == example(kind, tmp_path, kind)  # type: ignore[arg-type]
    assert found.images[0].url == "https://store.example/cats/1.jpg"
    assert found.findings == []


def test_boxes_of_the_examples_are_those_that_the_page_tells_of(tmp_path: Path) -> None:
    assert example("vott-web", tmp_path).images[0].boxes == [CAT, Box(8, 12, 352, 498, "dog, sleeping")]
    assert example("corners", tmp_path, "corners").images[0].boxes == [CAT]
    assert [image.boxes[0] for image in example("vott-csv", tmp_path).images] == [CAT, Box(8, 12, 352, 498, "dog")]
    assert [image.label for image in example("classes", tmp_path).images] == ["tabby", "black and white"]
    assert example("vott-json", tmp_path).images[0].boxes[1] == Box(8, 12, 352, 398, "dog")
    assert example("coco", tmp_path).images[0].boxes == [Box(48, 240, 195, 200, "cat")]


def test_error_on_the_page_is_the_one_that_comes(tmp_path: Path) -> None:
    good = "https://store.example/cats/1.jpg,1,2,3,4,cat\n"
    broken = "https://store.example/cats/3.jpg,1,2,3\n"
    content = [good] * 6 + [good.replace("3,4", "-4,4"), good, broken] + [good] * 3
    (tmp_path / "file").write_text("".join(content), encoding="utf-8")
    with pytest.raises(BadAnnotationsError) as error:
        read(tmp_path / "file", "annotations.csv")
    assert str(error.value) in PAGE.replace("\n> ", " ")


def test_limits_on_the_page_are_those_of_the_code() -> None:
    assert MOST_NAMED == 5
    assert "the first five places" in PAGE
    assert f"At most {MOST_LISTED} findings of a kind" in PAGE
    assert f"at most {json_file.LIMIT >> 20} MiB" in PAGE
    assert f"by default {DEFAULT_LIMIT} " in PAGE
    said = [MOST_ENTRIES, MOST_CLASSES, MOST_BOXES, json_file.MOST_PARTS, csv_file.LONGEST_LINE, coco.LARGEST_ID]
    said += [LONGEST_LABEL, LONGEST, int(FARTHEST), MOST_PIXELS, MOST_SCANS, MOST_SEGMENTS, MOST_FILL]
    said += [images.ROOM._all, archive.MOST_FILES]
    assert [number for number in said if f"{number:,}" not in LIMITS] == []
    assert f"{archive.MOST_BYTES >> 30} GiB packed and unpacked" in LIMITS
    assert FILE_LIMIT == archive.MOST_BYTES
    assert f"{ANNOTATIONS_LIMIT >> 30} GiB; JSON {json_file.LIMIT >> 20} MiB" in LIMITS
    assert f"{Limits().image_bytes >> 20} MiB, {MOST_PIXELS:,} pixels" in LIMITS
    assert {name for name in csv_file.URL_NAMES | csv_file.CLASS_NAMES if f"`{name}`" not in PAGE} == set()
