"""VoTT's and COCO's JSON: boxes, classes and sizes, and errors that name the place."""

import json
from pathlib import Path
from typing import Any

import pytest

from vott_trainer.annotations import AnnotatedImage, Annotations, Box, read
from vott_trainer.errors import BadAnnotationsError

URL = "https://store/vott/export.json?sv=1&sig=SECRET"
CAT = {"tags": ["cat"], "boundingBox": {"left": 1, "top": 2, "width": 3, "height": 4}, "type": "RECTANGLE"}


def asset(name: str | None = "a.jpg", regions: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    """One asset as VoTT 2 exports it."""
    defaults = {"id": "3f0a", "name": name, "path": f"https://images/{name}", "size": {"width": 640, "height": 480}}
    return {"asset": {**defaults, "state": 2, "type": 1, **fields}, "regions": [CAT] if regions is None else regions}


def vott(*assets: Any) -> dict[str, Any]:
    """A project's export."""
    return {"name": "pets", "tags": [{"name": "cat"}], "assets": {str(key): value for key, value in enumerate(assets)}}


def coco(**changes: Any) -> dict[str, Any]:
    """One cat and one dog on one image."""
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 640, "height": 480}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [5, 6, 7.5, 8]},
        ],
    } | changes


def parsed(document: Any, tmp_path: Path, **options: Any) -> Annotations:
    path = tmp_path / "file"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return read(path, "export.json", **{"annotations_url": URL, **options})


def message(document: Any, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(document, tmp_path, **options)
    assert "SECRET" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "document",
    [
        vott(asset()),
        vott(asset()) | {"assets": [asset()]},
        asset(),
        b"\xef\xbb\xbf\n" + json.dumps(vott(asset())).encode(),
    ],
    ids=["export", "assets as a list", "file of one asset", "byte order mark"],
)
@pytest.mark.parametrize("annotation_format", ["auto", "vott-json"])
def test_vott_export_gives_boxes_and_the_images_size(document: Any, annotation_format: str, tmp_path: Path) -> None:
    annotations = parsed(document, tmp_path, annotation_format=annotation_format)
    assert annotations.images == [AnnotatedImage("https://images/a.jpg", [Box(1, 2, 3, 4, "cat")], size=(640, 480))]


def test_region_with_several_tags_is_a_box_for_each(tmp_path: Path) -> None:
    annotations = parsed(vott(asset(regions=[CAT | {"tags": ["cat", "black", "cat"]}])), tmp_path)
    assert [box.label for box in annotations.images[0].boxes] == ["cat", "black"]


def test_polygon_without_bounds_becomes_the_box_around_it(tmp_path: Path) -> None:
    points = [{"x": 5, "y": 9}, {"x": 11, "y": 2}, {"x": 8, "y": 20}]
    annotations = parsed(vott(asset(regions=[{"tags": ["cat"], "type": "POLYGON", "points": points}])), tmp_path)
    assert annotations.images[0].boxes == [Box(5, 2, 6, 18, "cat", (((5, 9, 11, 2, 8, 20),),))]


def test_visited_asset_without_regions_is_an_empty_image_and_one_not_visited_is_skipped(tmp_path: Path) -> None:
    not_visited, visited = asset("new.jpg", [], state=0), asset("visited.jpg", [], state=1)
    assert [image.url for image in parsed(vott(asset(), not_visited, visited), tmp_path).images] == [
        "https://images/a.jpg",
        "https://images/visited.jpg",
    ]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            asset(path="file:/home/me/a.jpg"),
            "asset 'a.jpg': 'file:/home/me/a.jpg' is a path on the annotator's computer: upload the images",
        ),
        (asset(path=None), "asset 'a.jpg': expected path to be the URL or path of the image, found nothing"),
        (
            asset("a.mp4", path="file:/C:/a.mp4", type=2),
            "asset 'a.mp4': is a video, expected an image or a frame of a video",
        ),
        (asset(None, type=3), "expected name to be the name of the frame's image, found nothing"),
        (asset(regions=[CAT | {"tags": [7]}]), "region 1 of asset 'a.jpg': expected a class name of up to"),
        (asset(regions=[CAT | {"tags": ["\ud800"]}]), "region 1 of asset 'a.jpg': expected a class name of up to"),
        (
            asset(regions=[CAT, CAT | {"boundingBox": {"left": 1, "top": 2, "width": -1, "height": 4}}]),
            "region 2 of asset 'a.jpg': expected width to be at least 0, found -1",
        ),
        (
            asset(regions=[CAT | {"boundingBox": {"left": 1, "top": 2, "width": "3"}}]),
            "region 1 of asset 'a.jpg': expected height to be a number of pixels",
        ),
        (asset(regions=[{"tags": ["cat"]}]), "region 1 of asset 'a.jpg': expected points to be the corners"),
        (7, "asset 1: expected regions to be a list of regions, found nothing"),
    ],
)
def test_invalid_part_of_a_vott_export_is_named_by_asset_and_region(wrong: Any, expected: str, tmp_path: Path) -> None:
    assert expected in message(vott(wrong, {"regions": 7}), tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("drive.mp4", 2, "is a video, expected an image or a frame of a video"),
        ("notes.pdf", 0, "is of a type that VoTT does not know, expected an image or a frame of a video"),
        ("a.tfrecord", 4, "is a TFRecord, expected an image or a frame of a video"),
    ],
)
def test_asset_that_is_no_image_is_named_and_costs_no_other(name: str, kind: int, problem: str, tmp_path: Path) -> None:
    others = [asset(f"{number}-{name}", [], type=kind) for number in range(3)]
    annotations = parsed(vott(asset(), *others), tmp_path)
    assert len(annotations.images) == 1
    assert [(finding.where, finding.what) for finding in annotations.findings] == [
        (f"export.json asset '{number}-{name}'", problem) for number in range(3)
    ]


def test_image_of_a_type_that_vott_does_not_know_is_an_image(tmp_path: Path) -> None:
    assert len(parsed(vott(asset("a.webp", type=0)), tmp_path).images) == 1


def test_region_without_a_tag_is_left_out_and_reported(tmp_path: Path) -> None:
    found = parsed(vott(asset(regions=[CAT, CAT | {"tags": []}])), tmp_path)
    assert len(found.images[0].boxes) == 1
    assert [finding.what for finding in found.findings] == ["has no tag: left out, as in VoTT's CSV export"]


def test_project_without_its_regions_says_what_to_export(tmp_path: Path) -> None:
    error = message({"assets": {"3f0a": {"id": "3f0a", "name": "a.jpg", "path": "https://images/a.jpg"}}}, tmp_path)
    assert "export.json is a VoTT project without its regions: export it as VoTT JSON" in error


@pytest.mark.parametrize("annotation_format", ["auto", "coco"])
def test_coco_gives_boxes_by_the_names_of_their_categories(annotation_format: str, tmp_path: Path) -> None:
    annotations = parsed(coco(), tmp_path, annotation_format=annotation_format)
    boxes = [Box(1, 2, 3, 4, "cat"), Box(5, 6, 7.5, 8, "dog")]
    assert annotations.images == [AnnotatedImage("https://store/vott/a.jpg?sv=1&sig=SECRET", boxes, size=(640, 480))]


def test_polygons_stand_in_for_a_missing_box(tmp_path: Path) -> None:
    polygons = [[10, 20, 30, 20, 30, 25], [12, 20, 14, 60]]
    annotations = parsed(coco(annotations=[{"image_id": 7, "category_id": 1, "segmentation": polygons}]), tmp_path)
    outline = (((10, 20, 30, 20, 30, 25),), ((12, 20, 14, 60),))
    assert annotations.images[0].boxes == [Box(10, 20, 20, 40, "cat", outline)]


def test_two_points_are_the_least_of_a_polygon(tmp_path: Path) -> None:
    found = parsed(coco(annotations=[{"image_id": 7, "category_id": 1, "segmentation": [[10, 20, 30, 25]]}]), tmp_path)
    assert found.images[0].boxes == [Box(10, 20, 20, 5, "cat", (((10, 20, 30, 25),),))]
    points = [{"x": 5, "y": 9}, {"x": 11, "y": 2}]
    region = {"tags": ["cat"], "type": "POLYGON"}
    found = parsed(vott(asset(regions=[region | {"points": points}])), tmp_path)
    assert found.images[0].boxes == [Box(5, 2, 6, 7, "cat", (((5, 9, 11, 2),),))]
    assert "expected at least 2 points, found 1" in message(
        vott(asset(regions=[region | {"points": points[:1]}])), tmp_path
    )


@pytest.mark.parametrize("segmentation", [[[10, 20]], [[10, 20, 30, 25, 40]], {"counts": "abc", "size": [9, 9]}])
def test_segmentation_without_polygons_does_not_replace_a_missing_box(segmentation: Any, tmp_path: Path) -> None:
    annotation = {"id": 1, "image_id": 7, "category_id": 1, "segmentation": segmentation}
    assert "annotation '1': expected bbox to be [x, y, width, height]" in message(
        coco(annotations=[annotation]), tmp_path
    )


CAT_OF_COCO = coco()["annotations"][0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"categories": None}, "export.json expected categories to be a list, found nothing"),
        ({"images": {}}, "export.json expected images to be a list, found 'dict'"),
        ({"annotations": [CAT_OF_COCO | {"image_id": 8}]}, "annotation '1': expected image_id to be the id of a usable image, found '8'"),
        ({"annotations": [CAT_OF_COCO | {"category_id": [1]}]}, "annotation '1': expected category_id to be a number or text, found 'list'"),
        ({"annotations": [CAT_OF_COCO | {"bbox": [1, 2, 3]}]}, "annotation '1': expected bbox to be [x, y, width, height]"),
        ({"annotations": [CAT_OF_COCO | {"bbox": [1, 2, -3, 4]}]}, "annotation '1': expected width to be at least 0, found -3"),
        ({"annotations": ["cat"]}, "annotation number 1: expected image_id to be a number or text, found nothing"),
        ({"categories": [{"id": 1}]}, "category '1': expected a class name, found nothing"),
        ({"images": [{"id": {}, "file_name": "a.jpg"}]}, "image number 1: expected id to be a number or text, found 'dict'"),
    ],
)  # fmt: skip
def test_invalid_part_of_coco_is_named_by_its_id(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert expected in message(coco(**changes), tmp_path, annotation_format="coco")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{\n "assets": }', "export.json line 2 column 12: expected JSON (Expecting value)"),
        (b'{"assets": "\xff"}', "export.json byte 12: expected text in UTF-8, found the byte 0xff"),
        (b"[" * 100_000, "export.json expected JSON, found lists or objects nested too deeply"),
        (b'{"assets": ' + b"1" * 5000 + b"}", "export.json expected JSON, found a number with thousands of digits"),
        (b'{"name": "pets"}', "export.json is JSON, but neither a VoTT export (with assets) nor COCO"),
        (b"[]", "export.json is JSON, but neither"),
    ],
    ids=["syntax", "encoding", "too deep", "endless number", "another document", "a list"],
)
def test_other_json_is_refused_with_the_place(content: bytes, expected: str, tmp_path: Path) -> None:
    error = message(content, tmp_path)
    assert expected in error
    assert "annotationFormat" in error


def test_very_long_name_of_an_asset_is_shortened(tmp_path: Path) -> None:
    assert len(message(vott(asset("x" * 5000, path=None)), tmp_path)) < 300
