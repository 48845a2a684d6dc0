"""Annotation files beyond the limits: each is refused with the limit, in bounded time and memory."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vott_trainer.annotations import Annotations, limits, read
from vott_trainer.errors import BadAnnotationsError

GOOD_LINE = b"https://store/a.jpg,1,2,3,4,cat\n"
FEW = 1000
PART = "Train on a part of it, and send the message again."


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a small file reaches."""
    monkeypatch.setattr(limits, "MAX_ENTRIES", FEW)
    monkeypatch.setattr(limits, "MAX_CLASSES", 100)
    monkeypatch.setattr(limits, "MAX_BOXES", 100)
    monkeypatch.setattr(limits, "MAX_JSON_PARTS", FEW)


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
    defaults = {"path": "https://store/a.jpg", "state": 2, "type": 1}
    return {"assets": {"1": {"asset": defaults | asset, "regions": [{"tags": ["cat"], "boundingBox": box}]}}}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "line", [b"\n", b"\r\n", b" \t\n", b"\0\n", b"https://store/a.jpg,cat\n", b"https://store/a.jpg,,,,,\n"]
)
def test_too_many_lines_are_refused_with_the_limit(line: bytes, tmp_path: Path) -> None:
    assert refusal(line * (FEW + 1), tmp_path) == f"the file has more than 1,000 lines. {PART}"


@pytest.mark.usefixtures("few")
def test_as_many_lines_as_the_limit_are_read(tmp_path: Path) -> None:
    lines = (b"https://store/%d.jpg,cat\n" % number for number in range(FEW))
    assert len(parsed(lines, tmp_path).images) == FEW


@pytest.mark.usefixtures("few")
def test_invalid_entries_end_reading_once_the_rest_can_not_make_up_for_them(tmp_path: Path) -> None:
    error = refusal(b"https://store/a.jpg,1,2,3\n" * FEW, tmp_path)
    assert "101 of 101 entries can't be used" in error


@pytest.mark.usefixtures("few")
def test_too_many_classes_are_refused_with_the_limit(tmp_path: Path) -> None:
    lines = (b"https://store/%d.jpg,1,2,3,4,class %d\n" % (number, number) for number in range(101))
    assert refusal(lines, tmp_path) == f"the file has more than 100 classes. {PART}"


@pytest.mark.usefixtures("few")
def test_boxes_beyond_the_limit_of_an_image_are_left_out_and_reported(tmp_path: Path) -> None:
    annotations = parsed(GOOD_LINE * 105, tmp_path)
    assert len(annotations.images[0].boxes) == 100
    assert annotations.findings[0].what == "expected at most 100 boxes on an image, found more"
    assert len(annotations.findings) == 5


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
def test_json_with_too_many_parts_is_refused_before_it_takes_memory(content: bytes, tmp_path: Path) -> None:
    error = refusal(content, tmp_path)
    assert error == f"the file has more than 1,000 objects, lists and names. {PART}"


def test_json_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_JSON_BYTES", 1 << 20)
    tracemalloc.start()
    error = refusal(iter([b"{", *[b" " * 1024] * 2048, b"}"]), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error == f"the file is larger than 1 MiB, the limit for JSON; CSV may be larger. {PART}"
    assert peak < 4 << 20


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"assets":' * 100_000, b"[" * 5000 + b"]" * 5000])
def test_json_nested_too_deeply_is_refused(content: bytes, tmp_path: Path) -> None:
    assert "expected JSON, found lists or objects nested too deeply" in refusal(content, tmp_path)


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000])
def test_number_with_thousands_of_digits_is_refused(number: str, tmp_path: Path) -> None:
    error = refusal(f'{{"assets": {number}}}'.encode(), tmp_path)
    assert error.startswith("the file expected JSON, found a number with thousands of digits. ")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 4000, "1." + "1" * 100_000 + "e9"])
def test_number_out_of_range_is_not_a_number_of_pixels(number: str, tmp_path: Path) -> None:
    error = refusal(json.dumps(vott()).replace('"left": 1', f'"left": {number}').encode(), tmp_path)
    assert "expected left to be a number of pixels, found" in error
    assert len(error) < 500


def test_repeated_name_in_an_object_is_refused(tmp_path: Path) -> None:
    error = refusal(b'{"assets": {"1": {}, "2": {}, "1": {}}}', tmp_path)
    assert "expected unique names in an object, found '1' twice" in error


@pytest.mark.parametrize("text", ["\\ud800", "cat\\udfff", "\\u0000", "a\\u2028b", "a\\u0085b", "\\u001b[31mred"])
def test_text_that_no_file_can_hold_is_not_a_class(text: str, tmp_path: Path) -> None:
    error = refusal(json.dumps(vott()).replace('"cat"', f'"{text}"').encode(), tmp_path)
    assert "expected a class name of up to 200 characters on one line, found" in error
    error.encode()
    assert error.isprintable()


@pytest.mark.parametrize("character", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_bidirectional_control_characters_are_refused_in_classes_and_urls(character: str, tmp_path: Path) -> None:
    error = refusal(GOOD_LINE.replace(b"cat", f"cat{character}".encode()), tmp_path)
    assert "expected a class name" in error
    assert character not in error
    error = refusal(GOOD_LINE.replace(b"a.jpg", f"a{character}.jpg".encode()), tmp_path)
    assert "expected the URL of an image" in error
    assert character not in error


@pytest.mark.parametrize("label", ["می\u200cشود", "חתול", "👩\u200d👩\u200d👧", "قط\u200f", "猫"])
def test_names_in_any_script_are_classes(label: str, tmp_path: Path) -> None:
    assert parsed(GOOD_LINE.replace(b"cat", label.encode()), tmp_path).labels == [label]


def test_numbers_with_colliding_hashes_are_not_ids(tmp_path: Path) -> None:
    """Thousands of such ids would take hours: a dict compares each with all before it."""
    alike = 2**61 - 1  # hash() is modulo this number
    assert hash(alike * 7) == hash(alike * 8)
    images = [{"id": alike * number, "file_name": f"https://store/{number}.jpg"} for number in range(1, 20)]
    document = {"images": images, "annotations": [], "categories": []}
    error = refusal(json.dumps(document).encode(), tmp_path)
    assert f"expected id to be at most {limits.MAX_ID}, found '{alike}'" in error


def test_endless_line_is_read_in_bounded_memory(tmp_path: Path) -> None:
    endless = [b"https://store/a.jpg,1,2,3,4,", *[b"x" * (1 << 20)] * 64, b"\n"]
    tracemalloc.start()
    error = refusal(iter([GOOD_LINE, *endless]), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "line 2: expected a line of at most 65,536 bytes, found a longer one" in error
    assert peak < 4 << 20


def line(url: str = "https://store/a.jpg", x: float = 1, label: str = "cat") -> bytes:
    return f"{url},{x},2,3,4,{label}\n".encode()


@pytest.mark.parametrize(
    ("at_limit", "beyond"),
    [
        (line(x=limits.MAX_COORDINATE), line(x=limits.MAX_COORDINATE + 1)),
        (line(x=-limits.MAX_COORDINATE), line(x=-limits.MAX_COORDINATE - 1)),
        (line(label="c" * limits.MAX_LABEL_LENGTH), line(label="c" * (limits.MAX_LABEL_LENGTH + 1))),
        (line("https://store/".ljust(limits.MAX_URL_LENGTH, "a")), line("https://store/".ljust(limits.MAX_URL_LENGTH + 1, "a"))),
        (line()[:-1].ljust(limits.MAX_LINE_BYTES - 1) + b"\n", line()[:-1].ljust(limits.MAX_LINE_BYTES) + b"\n"),
    ],
    ids=["coordinate", "negative coordinate", "class name", "URL", "line"],
)  # fmt: skip
def test_limit_of_a_value_is_exact(at_limit: bytes, beyond: bytes, tmp_path: Path) -> None:
    assert len(parsed(at_limit, tmp_path).images) == 1
    assert "line 1: expected " in refusal(beyond, tmp_path)


@pytest.mark.usefixtures("few")
def test_limit_of_classes_is_exact(tmp_path: Path) -> None:
    lines = [line(f"https://store/{number}.jpg", label=f"class {number}") for number in range(101)]
    assert len(parsed(b"".join(lines[:100]), tmp_path).labels) == 100
    assert "more than 100 classes" in refusal(b"".join(lines), tmp_path)


def test_limit_of_json_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps(vott()).encode()
    monkeypatch.setattr(limits, "MAX_JSON_BYTES", len(content))
    monkeypatch.setattr(limits, "MAX_JSON_PARTS", sum(map(content.count, (b"{", b"[", b":"))))
    assert len(parsed(content, tmp_path).images) == 1
    assert "is larger than" in refusal(content + b" ", tmp_path)
    monkeypatch.setattr(limits, "MAX_JSON_PARTS", limits.MAX_JSON_PARTS - 1)
    assert "objects, lists and names" in refusal(content, tmp_path)


@pytest.mark.parametrize("key", [limits.MAX_ID, -limits.MAX_ID])
def test_limit_of_an_id_is_exact(key: int, tmp_path: Path) -> None:
    def document(image_id: int) -> bytes:
        image, category = {"id": image_id, "file_name": "https://store/a.jpg"}, {"id": 1, "name": "cat"}
        annotation = {"image_id": image_id, "category_id": 1, "bbox": [1, 2, 3, 4]}
        return json.dumps({"images": [image], "categories": [category], "annotations": [annotation]}).encode()

    assert len(parsed(document(key), tmp_path).images) == 1
    assert "expected id to be at most" in refusal(document(key + (1 if key > 0 else -1)), tmp_path)
