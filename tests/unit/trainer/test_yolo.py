"""YOLO's text files in archives: boxes, polygons and rotated boxes in fractions, and the names of their classes."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.packed import Files, image, packed
from vott_trainer.annotations import Annotations, Box, read
from vott_trainer.errors import BadAnnotationsError

A, B, C = image(1), image(2), image(3)
LINE = "1 0.5 0.25 0.5 0.125\n"
DOG = Box(0.25, 0.1875, 0.5, 0.125, "dog", normalized=True)
YAML = "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\n"


def parsed(files: Files, tmp_path: Path, **options: Any) -> Annotations:
    return read(
        packed(tmp_path / "annotations", files),
        "yolo.zip",
        annotations_url="https://store/yolo.zip?sig=SECRET",
        **options,
    )


def message(files: Files, tmp_path: Path) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(files, tmp_path)
    return str(error.value)


@pytest.mark.parametrize(
    "files",
    [
        {"data.yaml": YAML, "train/images/a.png": A, "train/labels/a.txt": LINE, "valid/images/a.png": B, "valid/labels/a.txt": LINE},
        {"data.yaml": "names:\n  0: cat\n  1: dog\n", "images/train/a.png": A, "labels/train/a.txt": LINE, "images/val/a.png": B,
         "labels/val/a.txt": LINE},
        {"obj.data": "names = data/obj.names\n", "obj.names": "cat\ndog\n", "train.txt": "data/obj_train_data/a.png\n",
         "obj_train_data/a.png": A, "obj_train_data/a.txt": LINE, "obj_valid_data/a.png": B, "obj_valid_data/a.txt": LINE},
        {"Annotations/a.txt": LINE, "Annotations/b.txt": LINE, "Images/a.png": A, "Images/b.png": B, "classes.txt": "cat\r\ndog\r\n"},
        {"labels/a.txt": LINE, "labels/classes.txt": "cat\ndog", "labels/b.txt": LINE, "a.png": A, "b.png": B, "notes.json": '{"categories": []}'},
        {"train/a.png": A, "train/a.txt": LINE, "train/_darknet.labels": "cat\ndog\n", "test/b.png": B, "test/b.txt": LINE,
         "test/_darknet.labels": "cat\ndog\n"},
    ],
    ids=["Roboflow", "Ultralytics", "Darknet of CVAT", "folders of labels and images", "LabelImg or Label Studio", "Darknet of Roboflow"],
)  # fmt: skip
def test_labels_belong_to_the_image_of_their_name_and_folder(files: Files, tmp_path: Path) -> None:
    found = parsed(files, tmp_path)
    assert sorted(found.files[image.url].read_bytes() for image in found.images) == sorted([A, B])
    assert [image.boxes for image in found.images] == [[DOG], [DOG]]
    assert found.findings == []


@pytest.mark.parametrize(
    ("line", "outline", "bounds"),
    [
        ("1 0.5 0.25 0.5 0.125", None, (0.25, 0.1875, 0.5, 0.125)),
        ("1.0 0.5 0.25 0.5 0.125 0.98", None, (0.25, 0.1875, 0.5, 0.125)),
        ("1\t0.1  0.2 0.3 0.2 0.3 0.6 ", (0.1, 0.2, 0.3, 0.2, 0.3, 0.6), (0.1, 0.2, 0.2, 0.4)),
        ("1 0.1 0.2 0.3 0.1 0.4 0.5 0.2 0.6", (0.1, 0.2, 0.3, 0.1, 0.4, 0.5, 0.2, 0.6), (0.1, 0.1, 0.3, 0.5)),
        ("1 0.9 0.2 0.6 0.9", None, (0.6, -0.25, 0.6, 0.9)),
        ("1 1e-1 .2 0.3 0.2 0.3 1.005", (0.1, 0.2, 0.3, 0.2, 0.3, 1.005), (0.1, 0.2, 0.2, 0.805)),
    ],
    ids=["box", "box of a prediction", "polygon", "rotated box", "partly outside", "rounded"],
)
def test_lines_are_boxes_or_outlines_in_fractions(
    line: str, outline: tuple[float, ...] | None, bounds: tuple[float, ...], tmp_path: Path
) -> None:
    (box,) = parsed({"a.txt": line, "a.png": A, "data.yaml": YAML}, tmp_path).images[0].boxes
    assert (box.x, box.y, box.width, box.height) == pytest.approx(bounds)
    assert box.outline == (((outline,),) if outline else None)
    assert (box.label, box.normalized) == ("dog", True)


def test_file_without_lines_is_an_image_without_objects_and_an_image_without_file_is_not_used(tmp_path: Path) -> None:
    files = {"a.txt": LINE, "a.png": A, "b.txt": "\n", "b.png": B, "c.png": C, "data.yaml": YAML}
    found = parsed(files, tmp_path)
    assert [len(image.boxes) for image in found.images] == [1, 0]
    assert [finding.what for finding in found.findings] == [
        "1 of 3 images are not used, because no annotation names them: c.png"
    ]


def test_key_points_are_ignored_where_the_settings_tell_of_them(tmp_path: Path) -> None:
    pose = f"{LINE.strip()} 0.5 0.5 2 0.6 0.6 1\n"
    files = {"a.txt": pose, "a.png": A}
    assert parsed({**files, "data.yaml": f"{YAML}kpt_shape: [2, 3]\n"}, tmp_path).images[0].boxes == [DOG]
    assert "a.txt line 1: expected fractions of the image, from 0 to 1, found the corners" in message(
        {**files, "data.yaml": YAML}, tmp_path
    )


def test_settings_without_names_are_not_settings_of_the_classes(tmp_path: Path) -> None:
    files = {"a.txt": LINE, "a.png": A, "classes.txt": "cat\ndog\n"}
    for other in ("names:\nlr0: 0.01\n", "names: classes.txt\n", "names: []\n"):
        assert parsed({**files, "args.yaml": other}, tmp_path).labels == ["dog"]


def test_files_may_be_utf16(tmp_path: Path) -> None:
    files = {"a.txt": LINE.encode("utf-16"), "a.png": A, "classes.txt": "cat\r\ndog\r\n".encode("utf-16")}
    found = parsed(files, tmp_path)
    assert [image.boxes for image in found.images] == [[DOG]]
    error = message({**files, "classes.txt": "cat\nlöwe\n".encode("cp1252")}, tmp_path)
    assert "yolo.zip classes.txt expected text in UTF-8, found other bytes: save it as UTF-8" in error


def test_classes_without_names_are_numbers_and_reported(tmp_path: Path) -> None:
    found = parsed({"a.txt": LINE, "a.png": A}, tmp_path)
    assert found.labels == ["1"]
    assert (
        "has no names of the classes (data.yaml, classes.txt or obj.names): their numbers are used"
        in found.findings[0].what
    )


def test_names_are_text_whatever_yaml_makes_of_them(tmp_path: Path) -> None:
    names = "names: [no, 007, 1.50, null, 2024-01-01, '']\n"
    lines = "".join(f"{number}{LINE[1:]}" for number in range(5))
    assert set(parsed({"a.txt": lines, "a.png": A, "data.yaml": names}, tmp_path).labels) == {
        "no", "007", "1.50", "null", "2024-01-01",
    }  # fmt: skip
    error = message({"a.txt": f"5{LINE[1:]}", "a.png": A, "data.yaml": names}, tmp_path)
    assert "a.txt line 1: expected a class of data.yaml, which has 6, found the number 5" in error


def test_nearest_list_of_classes_is_used_and_two_different_ones_are_refused(tmp_path: Path) -> None:
    files = {
        "x/a.txt": LINE,
        "x/a.png": A,
        "x/classes.txt": "cat\ndog\n",
        "y/b.txt": LINE,
        "y/b.png": B,
        "y/classes.txt": "car\nbus\n",
    }
    assert [image.boxes[0].label for image in parsed(files, tmp_path).images] == ["dog", "bus"]
    error = message({**files, "x/obj.names": "horse\n"}, tmp_path)
    assert "x/a.txt line 1: expected one list of classes, found x/classes.txt and x/obj.names, which differ" in error


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2 0.5 0.5 0.1 0.1", "expected a class of data.yaml, which has 2, found the number 2"),
        ("cat 0.5 0.5 0.1 0.1", "expected the number of a class, found 'cat'"),
        ("0.5 0.5 0.5 0.1 0.1", "expected the number of a class, found '0.5'"),
        ("1 0.5 0.5 0.1", "expected class x y width height, or class x1 y1 x2 y2 …, found '1 0.5 0.5 0.1'"),
        ("1 0.1 0.2 0.3 0.2 0.3 0.6 0.7", "expected class x y width height, or class x1 y1 x2 y2 …, found 8 numbers"),
        ("1 320 240 64 48", "expected fractions of the image, from 0 to 1, found the corners 288, 216, 352, 264"),
        ("1 nan 0.5 0.1 0.1", "expected coordinate to be a number of pixels, found 'nan'"),
        ("1 0.5 0.5 -0.1 0.1", "expected width to be at least 0, found -0.1"),
        ("1 " + "0.5 " * 20_000, "expected a line of at most 65,536 bytes, found a longer one"),
    ],
)
def test_invalid_line_is_named_by_file_and_line(line: str, expected: str, tmp_path: Path) -> None:
    files = {"labels/a.txt": f"{LINE}\n{line}\n", "images/a.png": A, "data.yaml": YAML}
    assert f"yolo.zip labels/a.txt line 3: {expected}" in message(files, tmp_path)


def test_file_whose_first_line_names_its_class_is_refused(tmp_path: Path) -> None:
    error = message({"a.txt": f"dog{LINE[1:]}", "a.png": A, "data.yaml": YAML}, tmp_path)
    assert "yolo.zip a.txt line 1: expected the number of a class, found 'dog'" in error


def test_labels_without_an_image_are_refused(tmp_path: Path) -> None:
    error = message({"a.txt": LINE, "b.txt": LINE, "b.png": B, "data.yaml": YAML}, tmp_path)
    assert "yolo.zip a.txt: expected an image 'a'.jpg or the like in the archive, found none" in error


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("names: [a, {b: c}]", "data.yaml expected names to be a list of the classes, found 'dict'"),
        ("names: {x: a}", "data.yaml expected names to be a list of the classes, found 'a'"),
        ("names: [a", "data.yaml expected YAML, found while parsing a flow sequence"),
        ("[" * 5000, "data.yaml expected at most 100 brackets, found more"),
        ("- " * 5000, "data.yaml expected YAML, found"),
        ("#" * (257 << 10), "data.yaml is larger than 256 KiB, the limit for names of classes"),
        ("names: !!python/object/apply:os._exit [3]", "a.txt line 1: expected a class of data.yaml, which has 1"),
    ],
)
def test_settings_that_can_not_be_read_are_refused(settings: str, expected: str, tmp_path: Path) -> None:
    assert f"yolo.zip {expected}" in message({"a.txt": LINE, "a.png": A, "data.yaml": settings}, tmp_path)


def test_yaml_that_would_grow_is_read_without_growing(tmp_path: Path) -> None:
    bomb = "a0: &a0 {x: y}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12)
    )
    assert parsed({"a.txt": LINE, "a.png": A, "data.yaml": bomb + YAML}, tmp_path).labels == ["dog"]


def test_single_file_is_refused_because_it_names_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(LINE)
    with pytest.raises(
        BadAnnotationsError, match=r"a.txt is YOLO's file of one image, which does not name it: send an archive"
    ):
        read(tmp_path / "a.txt", "a.txt", annotations_url="https://store/a.txt")
