"""Label Studio's JSON and JSON-MIN, and their variants."""

import math
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.json_documents import CAT, FOLDER, boxes, corners, parsed, refusal, whats

RECTANGLE: dict[str, Any] = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}
SIZE = {"original_width": 640, "original_height": 480}


def region(kind: str = "rectanglelabels", names: Any = ("cat",), **value: Any) -> dict[str, Any]:
    value = (value or RECTANGLE) | {kind: list(names)}
    return {
        "original_width": 640,
        "original_height": 480,
        "image_rotation": 0,
        "id": "r1",
        "type": kind,
        "value": value,
    }


def task(*results: Any, image: str = "/data/upload/1/1f0a99b2-a.jpg", **fields: Any) -> dict[str, Any]:
    annotation = {"id": 1001, "was_cancelled": False, "ground_truth": False, "result": list(results)}
    return {"id": 7, "data": {"image": image}, "annotations": [annotation], "predictions": []} | fields


@pytest.mark.parametrize(
    "document",
    [
        [task(region())],
        [task(region(), annotations=[], completions=task(region())["annotations"])],
        [task(region("labels"), {"id": "r1", "type": "rectangle", "value": RECTANGLE})],
        [task(region(), region() | {"type": "textarea", "value": RECTANGLE | {"text": ["old"]}})],
        [task(region() | {"image_rotation": 90})],
        [{"id": 7, "image": "/data/upload/1/1f0a99b2-a.jpg", "annotator": 1, "label": [RECTANGLE | SIZE | {"rectanglelabels": ["cat"]}]}],
    ],
    ids=["JSON", "before 1.0", "labels apart", "text about a region", "turned view", "JSON-MIN"],
)  # fmt: skip
@pytest.mark.parametrize("annotation_format", ["auto", "label-studio"])
def test_label_studio_gives_boxes_in_fractions(document: Any, annotation_format: str, tmp_path: Path) -> None:
    (image,) = parsed(document, tmp_path, annotation_format=annotation_format).images
    assert image.boxes == [CAT]
    assert image.size == (640, 480)
    assert image.url == f"{FOLDER}/1f0a99b2-a.jpg"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"points": [[10, 20], [40, 20], [40, 60]]}, (0.1, 0.2, 0.4, 0.6)),
        ({"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 0}, (0.4, 0.3, 0.6, 0.7)),
        ({"x": 50, "y": 50, "radiusX": 30, "radiusY": 20, "rotation": 90}, (0.35, 0.1, 0.65, 0.9)),
        (RECTANGLE | {"rotation": 90}, (0.1 - 0.4 * 3 / 4, 0.2, 0.1, 0.2 + 0.3 * 4 / 3)),
        (RECTANGLE | {"x": 50, "rotation": -360}, (0.5, 0.2, 0.8, 0.6)),
    ],
    ids=["polygon", "ellipse", "rotated ellipse", "rotated rectangle", "full turn"],
)
def test_other_shapes_give_the_box_around_them(value: Any, expected: Any, tmp_path: Path) -> None:
    (box,) = boxes([task(region("polygonlabels", **value))], tmp_path)
    assert corners(box) == pytest.approx(expected, abs=0.004)
    assert box.normalized


def test_rotated_rectangle_is_reported_with_its_corners_as_outline(tmp_path: Path) -> None:
    found = parsed([task(region(**RECTANGLE | {"x": 50, "rotation": 45}), region())], tmp_path)
    box = found.images[0].boxes[0]
    side = math.sqrt(0.5)
    assert (box.x, box.y) == pytest.approx((0.5 - 0.4 * 0.75 * side, 0.2))
    assert box.outline is not None
    assert len(box.outline[0][0]) == 8
    assert whats(found) == ["around rotated regions, the upright box is used: 1 of 2"]


def test_brush_is_traced(tmp_path: Path) -> None:
    rle = packed([255 if 1 <= x < 3 and 2 <= y < 5 else 0 for y in range(6) for x in range(4)])
    value = {"format": "rle", "rle": rle}
    document = [task(region("brushlabels", **value) | {"original_width": 4, "original_height": 6})]
    (box,) = boxes(document, tmp_path)
    assert corners(box) == pytest.approx((1 / 4, 2 / 6, 3 / 4, 5 / 6))
    (broken,) = [document[0]["annotations"][0]["result"][0]["value"]["rle"].pop()]
    assert isinstance(broken, int)
    assert "expected the points or the mask of a region" in refusal(document, tmp_path)


def packed(alpha: list[int]) -> list[int]:
    """Pack an image in Label Studio's way, each pixel alone or repeated."""
    bits = f"{4 * len(alpha):032b}{7:05b}" + "".join(f"{width - 1:04b}" for width in (2, 3, 9, 16))
    for place, value in enumerate(alpha):
        if place % 2:
            bits += f"101{3:03b}{value:08b}"  # repeated, second width
        else:
            bits += f"000{3:02b}" + "".join(f"{part:08b}" for part in (value, 0, 7, value))  # one by one, first width
    bits += "0" * (-len(bits) % 8)
    return [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]


@pytest.mark.parametrize("rle", [None, "abc", [], [1, 2], [300] * 40, [0, 0, 0, 96, 255, 255, 255]])
def test_mask_that_can_not_be_read_is_an_error_of_the_region(rle: Any, tmp_path: Path) -> None:
    document = [task(region("brushlabels", rle=rle) | {"original_width": 4, "original_height": 6})]
    assert "region 1 of task '7': expected the points or the mask of a region" in refusal(document, tmp_path)


def test_first_annotation_that_was_not_skipped_counts_or_the_ground_truth(tmp_path: Path) -> None:
    def annotation(name: str, **fields: Any) -> dict[str, Any]:
        return {"result": [region(names=[name])]} | fields

    first = task(annotations=[annotation("skipped", was_cancelled=True), annotation("cat"), annotation("dog")])
    truth = task(image="b.jpg", annotations=[annotation("cow"), annotation("ox", ground_truth=True)], id=8)
    skipped = task(
        image="c.jpg", annotations=[annotation("skipped", was_cancelled=True)], predictions=[annotation("guess")]
    )
    found = parsed([first, truth, skipped, task(image="d.jpg", annotations=[])], tmp_path)
    assert [[box.label for box in image.boxes] for image in found.images] == [["cat"], ["ox"]]
    assert whats(found) == [
        "tasks without a finished annotation (predictions and skipped ones do not count) are left out: 2",
        "of tasks that were annotated again, the first annotation counts, or the one marked as ground truth: 2",
    ]


def test_first_entry_of_a_task_counts_in_json_min(tmp_path: Path) -> None:
    entries = [
        {"id": 7, "img": "a.jpg", "annotation_id": n, "tag": [RECTANGLE | {"rectanglelabels": [name]}]}
        for n, name in enumerate(("cat", "dog"))
    ]
    found = parsed(entries, tmp_path)
    assert [box.label for box in found.images[0].boxes] == ["cat"]
    assert whats(found)[0].startswith("of tasks that were annotated again, the first annotation counts")


def choice(*names: Any) -> dict[str, Any]:
    return {"id": "c", "type": "choices", "value": {"choices": list(names)}}


@pytest.mark.parametrize(
    "document",
    [
        [task(choice("cat"))],
        [{"id": 1, "image": "1f0a99b2-a.jpg", "choice": "cat", "annotator": 1}],
        [{"id": 1, "image": "1f0a99b2-a.jpg", "pet": {"choices": ["cat"]}, "annotator": 1}],
    ],
    ids=["JSON", "JSON-MIN", "JSON-MIN with a list"],
)
def test_choices_are_classes_of_images(document: Any, tmp_path: Path) -> None:
    assert [(image.label, image.boxes) for image in parsed(document, tmp_path).images] == [("cat", [])]


def test_choices_beside_regions_are_left_out_and_reported(tmp_path: Path) -> None:
    found = parsed([task(region(), choice("sharp"))], tmp_path)
    assert found.labels == ["cat"]
    assert whats(found) == ["the class of an image is used only if no image has regions"]
    assert "expected one class for each image, found 'dog' after 'cat'" in refusal(
        [task(choice("cat", "dog"))], tmp_path
    )


REGION_ALONE = {"id": "r1", "type": "rectangle", "value": RECTANGLE}


def test_class_chosen_for_a_region_is_that_of_the_region_if_it_has_no_label(tmp_path: Path) -> None:
    chosen = {"id": "r1", "type": "choices", "value": RECTANGLE | {"choices": ["cat"]}}
    assert boxes([task(REGION_ALONE, chosen)], tmp_path) == [CAT]
    assert boxes([task(region(), chosen | {"value": RECTANGLE | {"choices": ["sharp"]}})], tmp_path) == [CAT]
    assert "expected a class name, found nothing" in refusal([task(REGION_ALONE)], tmp_path)


def test_one_task_may_be_without_a_list(tmp_path: Path) -> None:
    assert boxes(task(region()), tmp_path) == [CAT]


@pytest.mark.parametrize(
    "result",
    [
        {
            "type": "videorectangle",
            "value": {"framesCount": 9, "sequence": [RECTANGLE | {"frame": 1}], "labels": ["cat"]},
        },
        {"type": "bitmasklabels", "value": {"imageDataURL": "data:image/png;base64,AAAA", "bitmasklabels": ["cat"]}},
        {"type": "vectorlabels", "value": {"vertices": [{"x": 1, "y": 2}], "closed": True, "vectorlabels": ["cat"]}},
    ],
    ids=lambda result: result["type"],
)
def test_labels_of_another_shape_do_not_make_an_image_without_objects(result: dict[str, Any], tmp_path: Path) -> None:
    expected = "region 1 of task '8': expected a rectangle, polygon, ellipse or mask, found"
    assert expected in refusal([task(region()), task(result, image="b.jpg", id=8)], tmp_path)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (
            6.4,
            "region 1 of task '7': expected percent of the image, from 0 to 100, found the corners 64, 128, 256, 384",
        ),
        (0.01, "a.json expected percent of the image, from 0 to 100, found numbers from 0 to 1: multiply them by 100"),
    ],
    ids=["pixels", "fractions"],
)
def test_numbers_that_are_no_percent_are_refused(factor: float, expected: str, tmp_path: Path) -> None:
    value = {name: number * factor for name, number in RECTANGLE.items()}
    assert expected in refusal([task(region(**value), region(**value))], tmp_path)


def test_file_with_predictions_alone_is_refused_with_the_reason(tmp_path: Path) -> None:
    document = [task(annotations=[], predictions=[{"result": [region()]}])]
    assert (
        "a.json has no annotated object (a.json tasks without a finished annotation (predictions and skipped ones do not count) "
        "are left out: 1). Annotate some images"
    ) in refusal(document, tmp_path)


def test_finished_task_without_regions_has_no_objects(tmp_path: Path) -> None:
    found = parsed([task(region()), task(image="b.jpg", id=8)], tmp_path)
    assert [len(image.boxes) for image in found.images] == [1, 0]


def test_points_are_left_out(tmp_path: Path) -> None:
    found = parsed([task(region(), region("keypointlabels", x=1, y=2, width=0.5))], tmp_path)
    assert [image.boxes for image in found.images] == [[CAT]]
    assert whats(found) == ["is a point, expected a rectangle, polygon, ellipse or mask: left out"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([task(region(names=[]))], "region 1 of task '7': expected a class name, found nothing"),
        ([task(region(x=1, y=2, width="a", height=3))], "region 1 of task '7': expected width to be a number"),
        ([task(region(points=[[1, 2], 3]))], "region 1 of task '7': expected the points or the mask of a region"),
        ([task(region(**RECTANGLE | {"rotation": 30}) | {"original_width": None})], "expected original_width and original_height"),
        ([task(region(), image="")], "task '7': expected the URL of an image, found nothing"),
        ([task(region(), data={"images": ["a.jpg", "b.jpg"]})], "task '7': expected one image in a task, found a list"),
        ([task(choice(["cat"]))], "task '7': expected a class name of up to"),
    ],
)  # fmt: skip
def test_invalid_part_of_a_task_is_named(document: Any, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(document, tmp_path)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("/data/local-files/?d=pets%2Fa%20b.jpg", ["a%20b.jpg"]),
        ("http://localhost:8080/data/local-files/?x=1&d=pets/a.jpg", ["a.jpg"]),
        ("/data/upload/3/1f0a99b2-a.jpg", ["1f0a99b2-a.jpg", "a.jpg"]),
        ("https://labels.example/data/upload/3/1f0a99b2-a.jpg", ["1f0a99b2-a.jpg", "a.jpg"]),
        ("s3://bucket/pets/a.jpg", ["a.jpg"]),
    ],
)
def test_paths_of_the_server_are_looked_up_by_name(image: str, expected: list[str], tmp_path: Path) -> None:
    (found,) = parsed([task(region(), image=image)], tmp_path).images
    tried = [found.url, *found.others]
    assert [name for name in tried if name.startswith(FOLDER)] == [f"{FOLDER}/{name}" for name in expected]
    assert "imagesUrl" in refusal([task(region(), image="/data/upload/3/1f0a99b2-a.jpg")], tmp_path, images_url=None)


def test_name_before_the_upload_is_not_tried_for_two_images(tmp_path: Path) -> None:
    tasks = [task(region(), image=f"/data/upload/3/{number}f0a99b2-a.jpg", id=number) for number in (1, 2)]
    found = parsed(tasks, tmp_path)
    assert [(image.url, image.others) for image in found.images] == [(f"{FOLDER}/{n}f0a99b2-a.jpg", ()) for n in (1, 2)]
