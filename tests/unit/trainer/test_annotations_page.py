"""docs/annotations.md: its examples are read, and its limits are those of the code."""

import re
from pathlib import Path
from typing import get_args

import pytest

from vott_trainer.annotations import Annotations, Box, Format, limits, read
from vott_trainer.annotations.collector import MAX_SHOWN
from vott_trainer.annotations.csv_names import CENTERS, CLASS_IDS, CLASS_NAMES, CORNERS, URL_IDS, URL_NAMES
from vott_trainer.annotations.findings import MAX_LISTED
from vott_trainer.data.image_download import ImageLimits
from vott_trainer.data.jpeg import MAX_FILL_BYTES, MAX_SCANS, MAX_SEGMENTS
from vott_trainer.data.pixel_limits import BUDGET, MAX_PIXELS
from vott_trainer.errors import BadAnnotationsError
from vott_trainer.file_download import MAX_ANNOTATIONS_BYTES, MAX_FILE_BYTES
from vott_trainer.http.image_cache import DEFAULT_LIMIT
from vott_trainer.stores import model_archive

PAGE = (Path(__file__).parents[3] / "docs/annotations.md").read_text(encoding="utf-8")
LIMITS = PAGE.partition("\n## Limits\n")[2].partition("\n## ")[0]
EXAMPLES: dict[str, str] = dict(re.findall(r"```(?:csv|json|xml) (\S+)\n(.*?)```", PAGE, re.DOTALL))
CAT = Box(48, 240, 195, 371, "cat")
TRIANGLE = (((8, 12, 360, 40, 90, 410),),)


def example(kind: str, tmp_path: Path, annotation_format: Format = "auto") -> Annotations:
    (tmp_path / "file").write_text(EXAMPLES[kind], encoding="utf-8")
    url = "https://store.example/cats/file"
    return read(tmp_path / "file", "file", annotation_format=annotation_format, annotations_url=url)


def test_every_format_has_a_section_and_an_example() -> None:
    kinds = set(get_args(Format)) - {"auto"}
    assert set(EXAMPLES) == kinds - {"yolo", "folders"}  # they are found in archives only
    assert all(f"\n### `{kind}`: " in PAGE for kind in kinds)
    assert all(f"[`{kind}`](#" in PAGE for kind in kinds)


@pytest.mark.parametrize("kind", sorted(set(EXAMPLES) - {"corners"}))
def test_format_of_the_example_is_detected(kind: str, tmp_path: Path) -> None:
    annotations = example(kind, tmp_path)
    assert annotations == example(kind, tmp_path, kind)  # type: ignore[arg-type]
    assert annotations.images[0].url == "https://store.example/cats/1.jpg"
    assert annotations.findings == []


def test_examples_give_the_boxes_on_the_page(tmp_path: Path) -> None:
    assert example("vott-web", tmp_path).images[0].boxes == [CAT, Box(8, 12, 352, 498, "dog, sleeping")]
    assert example("corners", tmp_path, "corners").images[0].boxes == [CAT]
    assert [image.boxes[0] for image in example("vott-csv", tmp_path).images] == [CAT, Box(8, 12, 352, 498, "dog")]
    assert [image.label for image in example("classes", tmp_path).images] == ["tabby", "black and white"]
    assert example("vott-json", tmp_path).images[0].boxes[1] == Box(8, 12, 352, 398, "dog", TRIANGLE)
    square = (((48, 240, 243, 240, 243, 440, 48, 440),),)
    assert example("voc", tmp_path).images[0].boxes == [Box(48, 240, 195, 200, "cat")]
    assert [box.x for box in example("cvat", tmp_path).images[0].boxes] == [48, 8]
    assert example("vott1-json", tmp_path).images[0].boxes == [Box(48, 240, 195, 200, "cat")]
    part = Box(0.075, 0.5, 0.3, 0.4, "cat", normalized=True)
    assert example("label-studio", tmp_path).images[0].boxes == [part]
    assert example("custom-vision", tmp_path).images[0].boxes == [part]
    azure_ml = example("azure-ml", tmp_path).images
    assert [[box.x for box in image.boxes] for image in azure_ml] == [[0.075], [0.01], []]
    assert example("coco", tmp_path).images[0].boxes == [Box(48, 240, 195, 200, "cat", square)]


def test_error_on_the_page_is_the_one_reported(tmp_path: Path) -> None:
    good = "https://store.example/cats/1.jpg,1,2,3,4,cat\n"
    broken = "https://store.example/cats/3.jpg,1,2,3\n"
    content = [good] * 6 + [good.replace("3,4", "-4,4"), good, broken] + [good] * 3
    (tmp_path / "file").write_text("".join(content), encoding="utf-8")
    with pytest.raises(BadAnnotationsError) as error:
        read(tmp_path / "file", "annotations.csv")
    assert str(error.value) in PAGE.replace("\n> ", " ")


def test_limits_on_the_page_are_those_of_the_code() -> None:
    assert MAX_SHOWN == 5
    assert "the first five places" in PAGE
    assert f"At most {MAX_LISTED} findings of a kind" in PAGE
    assert f"at most {limits.MAX_JSON_BYTES >> 20} MiB" in PAGE
    assert f"by default {DEFAULT_LIMIT} " in PAGE
    numbers = [limits.MAX_ENTRIES, limits.MAX_CLASSES, limits.MAX_BOXES, limits.MAX_JSON_PARTS, limits.MAX_LINE_BYTES]
    numbers += [
        limits.MAX_LABEL_LENGTH,
        limits.MAX_URL_LENGTH,
        int(limits.MAX_COORDINATE),
        limits.MAX_ID,
        limits.MAX_POINTS,
    ]
    numbers += [MAX_PIXELS, MAX_SCANS, MAX_SEGMENTS, MAX_FILL_BYTES, BUDGET.total, model_archive.MAX_FILES]
    assert [number for number in numbers if f"{number:,}" not in LIMITS] == []
    assert f"{model_archive.MAX_BYTES >> 30} GiB packed and unpacked" in LIMITS
    assert MAX_FILE_BYTES == model_archive.MAX_BYTES
    assert f"{limits.MAX_TEXT_BYTES >> 30} GiB; JSON {limits.MAX_JSON_BYTES >> 20} MiB" in LIMITS
    assert f"{MAX_ANNOTATIONS_BYTES >> 30} GiB packed, {limits.MAX_UNPACKED_BYTES >> 30} GiB unpacked" in LIMITS
    assert f"{limits.MAX_RATIO} times its size (if more than {limits.RATIO_FREE_BYTES >> 30} GiB)" in LIMITS
    assert f"{limits.MAX_FILES:,} files, {limits.MAX_DIRECTORY_BYTES >> 20} MiB" in LIMITS
    assert f"up to {limits.MAX_PATH_LENGTH:,} characters" in LIMITS
    assert f"XML {limits.MAX_XML_BYTES >> 20} MiB, {limits.MAX_VOC_BYTES >> 20} MiB" in LIMITS
    assert f"{ImageLimits().image_bytes >> 20} MiB, {MAX_PIXELS:,} pixels" in LIMITS


def test_names_of_columns_on_the_page_are_those_of_the_code() -> None:
    names = [
        *URL_NAMES,
        *URL_IDS,
        *CLASS_NAMES,
        *CLASS_IDS,
        *map(",".join, CORNERS),
        *(name for pair in CENTERS for name in pair),
    ]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
