"""Annotation files that are too much: each ends in a sentence that says the limit, within bounded time and memory."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vott_trainer.annotations import Annotations, coco, csv_file, json_file, read, reading
from vott_trainer.errors import BadAnnotationsError

GOOD_LINE = b"https://store/a.jpg,1,2,3,4,cat\n"
FEW = 1000
PART = "Train on a part of it, and send the message again."


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a small file reaches."""
    for module in (csv_file, reading):
        monkeypatch.setattr(module, "MOST_ENTRIES", FEW)
    monkeypatch.setattr(reading, "MOST_CLASSES", 100)
    monkeypatch.setattr(reading, "MOST_BOXES", 100)
    monkeypatch.setattr(json_file, "MOST_PARTS", FEW)


def parsed(content: bytes | Iterator[bytes], tmp_path: Path) -> Annotations:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.writelines([content] if isinstance(content, bytes) else content)
    return read(path, "the file")


def refusal(content: bytes | Iterator[bytes], tmp_path: Path) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(content, tmp_path)
    return str(error.value)


def vott(**asset: Any) -> dict[str, Any]:
    box = {"left": 1, "top": 2, "width": 3, "height": 4}
    known = {"path": "https://store/a.jpg", "state": 2, "type": 1}
    return {"assets": {"1": {"asset": known | asset, "regions": [{"tags": ["cat"], "boundingBox": box}]}}}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "line", [b"\n", b"\r\n", b" \t\n", b"\0\n", b"https://store/a.jpg,cat\n", b"https://store/a.jpg,,,,,\n"]
)
def test_more_lines_than_a_training_takes_are_refused_with_the_limit(line: bytes, tmp_path: Path) -> None:
    assert refusal(line * (FEW + 1), tmp_path) == f"the file has more than 1,000 lines. {PART}"


@pytest.mark.usefixtures("few")
def test_as_many_lines_as_the_limit_are_read(tmp_path: Path) -> None:
    lines = (b"https://store/%d.jpg,cat\n" % number for number in range(FEW))
    assert len(parsed(lines, tmp_path).images) == FEW


@pytest.mark.usefixtures("few")
def test_faulty_entries_end_it_once_nothing_can_make_up_for_them(tmp_path: Path) -> None:
    said = refusal(b"https://store/a.jpg,1,2,3\n" * FEW, tmp_path)
    assert "101 of 101 entries can't be used" in said


@pytest.mark.usefixtures("few")
def test_more_classes_than_a_training_takes_are_refused_with_the_limit(tmp_path: Path) -> None:
    lines = (b"https://store/%d.jpg,1,2,3,4,class %d\n" % (number, number) for number in range(101))
    assert refusal(lines, tmp_path) == f"the file has more than 100 classes. {PART}"


@pytest.mark.usefixtures("few")
def test_boxes_beyond_the_most_of_an_image_are_left_out_and_told(tmp_path: Path) -> None:
    found = parsed(GOOD_LINE * 105, tmp_path)
    assert len(found.images[0].boxes) == 100
    assert found.findings[0].what == "expected at most 100 boxes on an image, found more"
    assert len(found.findings) == 5


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "content",
    [
        b"[" + b"[]," * FEW + b"[]]",
        b"[" + b"{}," * FEW + b"{}]",
        b"{" + b",".join(b'"%d":1' % number for number in range(FEW)) + b"}",
        b"[" * (FEW + 1),
        b'{"a":' * FEW,
    ],
    ids=["lists", "objects", "names", "list in list", "object in object"],
)
def test_json_of_too_many_parts_is_refused_before_it_takes_memory(content: bytes, tmp_path: Path) -> None:
    said = refusal(content, tmp_path)
    assert said == f"the file has more than 1,000 objects, lists and names. {PART}"


def test_json_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_file, "LIMIT", 1 << 20)
    tracemalloc.start()
    said = refusal(iter([b"{", *[b" " * 1024] * 2048, b"}"]), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said == f"the file is larger than 1 MiB, the limit for JSON; CSV may be larger. {PART}"
    assert peak < 4 << 20


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"assets":' * 100_000, b"[" * 5000 + b"]" * 5000])
def test_json_within_json_without_end_is_refused(content: bytes, tmp_path: Path) -> None:
    assert "expected JSON, found lists within lists without end" in refusal(content, tmp_path)


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000])
def test_number_of_thousands_of_digits_is_refused(number: str, tmp_path: Path) -> None:
    said = refusal(f'{{"assets": {number}}}'.encode(), tmp_path)
    assert said.startswith("the file expected JSON, found a number of thousands of digits. ")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 4000, "1." + "1" * 100_000 + "e9"])
def test_number_that_is_none_is_no_number_of_pixels(number: str, tmp_path: Path) -> None:
    said = refusal(json.dumps(vott()).replace('"left": 1', f'"left": {number}').encode(), tmp_path)
    assert "expected left to be a number of pixels, found" in said
    assert len(said) < 500


def test_what_is_said_twice_is_refused_and_named(tmp_path: Path) -> None:
    said = refusal(b'{"assets": {"1": {}, "2": {}, "1": {}}}', tmp_path)
    assert "expected each name once in an object, found '1' twice" in said


@pytest.mark.parametrize("text", ["\\ud800", "cat\\udfff", "\\u0000", "a\\u2028b", "a\\u0085b", "\\u001b[31mred"])
def test_text_that_no_file_can_hold_is_no_class(text: str, tmp_path: Path) -> None:
    said = refusal(json.dumps(vott()).replace('"cat"', f'"{text}"').encode(), tmp_path)
    assert "expected a class name of up to 200 characters in one line, found" in said
    said.encode()
    assert said.isprintable()


@pytest.mark.parametrize("character", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_characters_that_turn_the_text_after_them_around_are_in_no_class_and_no_url(
    character: str, tmp_path: Path
) -> None:
    said = refusal(GOOD_LINE.replace(b"cat", f"cat{character}".encode()), tmp_path)
    assert "expected a class name" in said
    assert character not in said
    said = refusal(GOOD_LINE.replace(b"a.jpg", f"a{character}.jpg".encode()), tmp_path)
    assert "expected the URL of an image" in said
    assert character not in said


@pytest.mark.parametrize("label", ["می\u200cشود", "חתול", "👩\u200d👩\u200d👧", "قط\u200f", "猫"])
def test_names_in_any_script_are_classes(label: str, tmp_path: Path) -> None:
    assert parsed(GOOD_LINE.replace(b"cat", label.encode()), tmp_path).labels == [label]


def test_numbers_that_a_dict_takes_for_one_are_no_ids(tmp_path: Path) -> None:
    """Thousands of such ids would take hours: each is compared with all before it."""
    alike = 2**61 - 1  # what hash() takes numbers modulo
    assert hash(alike * 7) == hash(alike * 8)
    images = [{"id": alike * number, "file_name": f"https://store/{number}.jpg"} for number in range(1, 20)]
    document = {"images": images, "annotations": [], "categories": []}
    said = refusal(json.dumps(document).encode(), tmp_path)
    assert f"expected id to be at most {coco.LARGEST_ID}, found '{alike}'" in said


def test_one_endless_line_is_never_in_memory(tmp_path: Path) -> None:
    endless = [b"https://store/a.jpg,1,2,3,4,", *[b"x" * (1 << 20)] * 64, b"\n"]
    tracemalloc.start()
    said = refusal(iter([GOOD_LINE, *endless]), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "line 2: expected a line of at most 65,536 bytes, found a longer one" in said
    assert peak < 4 << 20
