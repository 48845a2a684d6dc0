"""VoTT 1's JSON: boxes drawn on images as they were shown, and frames without names."""

import json
from pathlib import Path
from typing import Any

import pytest

from vott_trainer.annotations import AnnotatedImage, Annotations, Box, read
from vott_trainer.errors import BadAnnotationsError

URL = "https://store/pets/pets.json?sv=1&sig=SECRET"


def region(*tags: str, **changes: Any) -> dict[str, Any]:
    """A region as VoTT 1.7 writes it."""
    corners = {"x1": 10, "y1": 20, "x2": 40, "y2": 60}
    rest = {"id": 0, "UID": "a1", "type": "Rectangle", "name": 1, "box": corners, "tags": list(tags or ("cat",))}
    return {**corners, "width": 320, "height": 240, **rest, **changes}


def vott1(frames: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A folder of images."""
    rest = {
        "framerate": "1",
        "inputTags": "cat,dog",
        "suggestiontype": "track",
        "scd": False,
        "visitedFrames": list(frames),
    }
    return {"frames": frames, **rest, "tag_colors": ["#0cc"], **changes}


def parsed(document: Any, tmp_path: Path, **options: Any) -> Annotations:
    (tmp_path / "file").write_text(json.dumps(document), encoding="utf-8")
    return read(tmp_path / "file", "pets.json", **{"annotations_url": URL, **options})


def message(document: Any, tmp_path: Path) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(document, tmp_path)
    return str(error.value)


@pytest.mark.parametrize("annotation_format", ["auto", "vott1-json"])
def test_frames_are_images_beside_the_file(annotation_format: str, tmp_path: Path) -> None:
    document = vott1({"a.png": [region(), region("dog", "black", x2=30)], "b c.png": [region()]})
    assert parsed(document, tmp_path, annotation_format=annotation_format).images == [
        AnnotatedImage(
            "https://store/pets/a.png?sv=1&sig=SECRET",
            [Box(10, 20, 30, 40, "cat"), Box(10, 20, 20, 40, "dog"), Box(10, 20, 20, 40, "black")],
            size=(320, 240),
        ),
        AnnotatedImage("https://store/pets/b%20c.png?sv=1&sig=SECRET", [Box(10, 20, 30, 40, "cat")], size=(320, 240)),
    ]


def test_boxes_drawn_while_the_image_was_shown_at_several_sizes_are_brought_to_one(tmp_path: Path) -> None:
    drawn = [region(), region(x1=20, y1=40, x2=80, y2=120, width=640, height=480)]
    (image,) = parsed(vott1({"a.png": drawn}), tmp_path).images
    assert image.boxes == [Box(10, 20, 30, 40, "cat")] * 2


@pytest.mark.parametrize("visited", [["b.png"], ["/home/me/pets/b.png"], ["C:\\pets\\b.png"]])
def test_visited_frame_without_regions_is_an_image_without_objects(visited: list[str], tmp_path: Path) -> None:
    frames = {"a.png": [region()], "b.png": [], "c.png": []}
    images = parsed(vott1(frames, visitedFrames=visited), tmp_path).images
    assert [image.url.partition("?")[0].rpartition("/")[2] for image in images] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (vott1({"0": [region()], "1": []}), "pets.json is VoTT 1's JSON with numbers instead of the images' names"),
        (vott1({"a.png": [region(x2=None)]}), "region 1 of frame 'a.png': expected x2 to be a number of pixels"),
        (vott1({"a.png": [region(x2=9)]}), "region 1 of frame 'a.png': expected the second x to be at least the first"),
        (vott1({"a.png": [7]}), "region 1 of frame 'a.png': expected tags to be a list of tags, found nothing"),
        (vott1({"a.png": 7}), "frame 'a.png': expected a.png to be a list of regions, found '7'"),
        (
            vott1({"/home/me/a.png": [region()]}),
            "frame '/home/me/a.png': '/home/me/a.png' is a path on the annotator's computer",
        ),
        (
            vott1({"a.png": [region(), region(width=1e-300)]}),
            "region 2 of frame 'a.png': expected x1 to be a number of pixels",
        ),
    ],
)
def test_invalid_part_is_named_by_frame_and_region(document: Any, expected: str, tmp_path: Path) -> None:
    assert expected in message(document, tmp_path)
