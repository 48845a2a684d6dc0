"""Names of classes: spellings that look the same are one class in every format; others that look alike are reported."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vott_trainer.annotations import Annotations, read
from vott_trainer.annotations.class_names import alike, canonical
from vott_trainer.annotations.findings import MAX_LISTED, Finding

SAME = [
    ("L\u00f6we", "Lo\u0308we"),
    ("fire truck", "fire  truck"),
    ("fire truck", "fire\u00a0truck"),
    ("fire truck", "fire\u3000 truck"),
    ("cat", "cat\u200b"),
    ("cat", "\ufeffcat"),
    ("cat", "c\u00adat"),
    ("cat", "\u00a0 cat \u2060"),
]


def from_csv(labels: list[str], tmp_path: Path) -> Annotations:
    lines = [f'https://store/{number}.jpg,1,2,3,4,"{label}"' for number, label in enumerate(labels)]
    (tmp_path / "file").write_text("\n".join(lines), encoding="utf-8")
    return read(tmp_path / "file", "file")


def from_vott_json(labels: list[str], tmp_path: Path) -> Annotations:
    box = {"left": 1, "top": 2, "width": 3, "height": 4}
    assets = {
        str(number): {"asset": {"path": f"https://store/{number}.jpg"}, "regions": [{"tags": [label], "boundingBox": box}]}
        for number, label in enumerate(labels)
    }  # fmt: skip
    (tmp_path / "file").write_text(json.dumps({"assets": assets}), encoding="utf-8")
    return read(tmp_path / "file", "file")


def from_coco(labels: list[str], tmp_path: Path) -> Annotations:
    ids = range(len(labels))
    document = {
        "images": [{"id": key, "file_name": f"https://store/{key}.jpg"} for key in ids],
        "categories": [{"id": key, "name": label} for key, label in enumerate(labels)],
        "annotations": [{"id": key, "image_id": key, "category_id": key, "bbox": [1, 2, 3, 4]} for key in ids],
    }
    (tmp_path / "file").write_text(json.dumps(document), encoding="utf-8")
    return read(tmp_path / "file", "file")


@pytest.mark.parametrize("annotated", [from_csv, from_vott_json, from_coco])
@pytest.mark.parametrize(("name", "spelling"), SAME)
def test_spellings_that_look_the_same_are_one_class(
    annotated: Callable[[list[str], Path], Annotations], name: str, spelling: str, tmp_path: Path
) -> None:
    annotations = annotated([name, spelling, name], tmp_path)
    assert annotations.labels == [name]
    assert [box.label for image in annotations.images for box in image.boxes] == [name] * 3
    assert annotations.findings == []


@pytest.mark.parametrize("name", ["می\u200cشود", "👩\u200d👩\u200d👧", "क\u094dष", "Å", "한국"])
def test_characters_that_a_script_needs_stay(name: str) -> None:
    assert canonical(name) == name


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ("Cat", "cat", "only in upper and lower case"),
        ("ÉTÉ", "été", "only in upper and lower case"),
        ("قط", "قط\u200f", "only in characters that can't be seen (U+200F)"),
        ("\u2764", "\u2764\ufe0f", "only in characters that can't be seen (U+FE0F)"),
        ("STRASSE", "straße", "only in blanks, hyphens or the form of their letters"),
        ("\ufb01re", "fire", "only in blanks, hyphens or the form of their letters"),
        ("\uff43\uff41\uff54", "Cat", "only in blanks, hyphens or the form of their letters"),
        ("fire_truck", "fire truck", "only in blanks, hyphens or the form of their letters"),
        ("Fire-Truck", "firetruck", "only in blanks, hyphens or the form of their letters"),
        ("driver's seat", "driver\u2019s seat", "only in blanks, hyphens or the form of their letters"),
    ],
)  # fmt: skip
def test_classes_that_look_alike_are_reported_with_both_names(one: str, other: str, difference: str) -> None:
    (finding,) = alike([one, other])
    assert finding == Finding(
        "class", other, f"is another class than {one!r}: the names differ {difference}. Rename one if they are one class"
    )  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [["cat", "dog"], ["cat", "cats"], ["1", "-1", "+1"], ["C", "C++", "C#"], ["a1", "a2"], ["o", "ö"], ["猫", "犬"], ["_", "-"], ["0", "O"]],
)  # fmt: skip
def test_other_classes_are_not_reported(names: list[str]) -> None:
    assert alike(names) == []


def test_each_name_is_reported_once_in_its_order(tmp_path: Path) -> None:
    annotations = from_csv(["dog", "CAT", "Cat", "cat", "DOG"], tmp_path)
    assert annotations.labels == ["CAT", "Cat", "DOG", "cat", "dog"]
    assert [(finding.kind, finding.where) for finding in annotations.findings] == [("class", name) for name in ("Cat", "cat", "dog")]  # fmt: skip


def test_many_names_that_look_alike_are_counted(tmp_path: Path) -> None:
    labels = [f"{name} {number}" for number in range(30) for name in ("cat", "Cat")]
    findings = from_csv(labels, tmp_path).findings
    assert len(findings) == MAX_LISTED + 1
    assert findings[-1] == Finding("class", "", "10 more of this kind")
