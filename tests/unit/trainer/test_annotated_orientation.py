"""Photos in all EXIF orientations, annotated as browsers and as VoTT's desktop program show them: boxes lie on objects, or a finding says why not.

Objects are red rectangles. Where they lie is read from the pixels, so that no test repeats the code's arithmetic.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.support.http_server import HttpServer
from vott_trainer.annotations import AnnotatedImage, Box, read
from vott_trainer.annotations.findings import Finding
from vott_trainer.annotations.model import ExifOrientation
from vott_trainer.data.checks import clean
from vott_trainer.data.decoding import open_rgb
from vott_trainer.errors import BadAnnotationsError
from vott_trainer.parameters import validate
from vott_trainer.plugin_api import DataParameters, LabelledImage, Links
from vott_trainer.progress.progress import Progress
from vott_trainer.training_run import TrainingRun

WIDTH, HEIGHT = 96, 64  # of the stored pixels
RED = (220, 30, 30)
ORIENTATIONS = range(1, 9)
SIDEWAYS, SAME_SIZE = (5, 6, 7, 8), (2, 3, 4)
# From the pixels as they are shown to those that a camera stores, by EXIF 2.3's definition of each orientation.
STORED = {
    1: lambda shown: shown,
    2: lambda shown: shown[:, ::-1],
    3: lambda shown: shown[::-1, ::-1],
    4: lambda shown: shown[::-1],
    5: lambda shown: shown.transpose(1, 0, 2),
    6: lambda shown: shown.transpose(1, 0, 2)[::-1],
    7: lambda shown: shown[::-1, ::-1].transpose(1, 0, 2),
    8: lambda shown: shown.transpose(1, 0, 2)[:, ::-1],
}


@dataclass(frozen=True)
class Photo:
    """A photo, and its object and size as a person sees them who annotates it."""

    name: str
    path: Path
    orientation: int
    box: tuple[float, ...]  # x, y, width, height
    size: tuple[float, ...]


def photo(folder: Path, orientation: int, view: ExifOrientation, *, tells: bool, kind: str = "jpg") -> Photo:
    """Take a photo of an object, that fits the annotator's view only, or either view."""
    number = len(list(folder.glob("photo*")))
    rng = random.Random(number)
    shown_size = (HEIGHT, WIDTH) if orientation in SIDEWAYS else (WIDTH, HEIGHT)
    for _ in range(1000):
        x, y = rng.randint(0, shown_size[0] - 22), rng.randint(0, shown_size[1] - 26)
        shown = Image.new("RGB", shown_size, (number * 7 % 90, 90, 120))
        ImageDraw.Draw(shown).rectangle((x, y, x + 19, y + 23), fill=RED)
        stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(shown))))
        annotated = shown if view == "applied" else stored
        box = object_in(annotated)
        if orientation not in SIDEWAYS or tells == (max(box[0] + box[2], box[1] + box[3]) > HEIGHT + 3):
            break
    path, exif = folder / f"photo{number}.{kind}", Image.Exif()
    exif[0x0112] = orientation
    stored.save(
        path,
        exif=exif,
        **{"quality": 95, "subsampling": 0} if kind == "jpg" else {"lossless": True} if kind == "webp" else {},
    )
    return Photo(path.name, path, orientation, box, annotated.size)


def object_in(image: Image.Image) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(red(image))
    x, y = int(columns.min()), int(rows.min())
    return x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y


def red(image: Image.Image) -> np.ndarray[Any, np.dtype[np.bool_]]:
    distances = np.abs(np.asarray(image.convert("RGB"), np.int16) - np.array(RED))
    found: np.ndarray[Any, np.dtype[np.bool_]] = (distances < 70).all(axis=2)
    return found


# ------------------------------------------------------------------------------------------------------------- the formats


def vott_csv(photos: Sequence[Photo]) -> list[str]:
    lines = [f'"{p.name}",{p.box[0]},{p.box[1]},{p.box[0] + p.box[2]},{p.box[1] + p.box[3]},"tool"' for p in photos]
    return ["\n".join(['"image","xmin","ymin","xmax","ymax","label"', *lines])]


def vott_json(photos: Sequence[Photo]) -> list[str]:
    names = ("left", "top", "width", "height")
    assets = {
        p.name: {
            "asset": {"name": p.name, "path": p.name, "size": dict(zip(names[2:], p.size, strict=True)), "state": 2, "type": 1},
            "regions": [{"type": "RECTANGLE", "tags": ["tool"], "boundingBox": dict(zip(names, p.box, strict=True))}],
        }
        for p in photos
    }  # fmt: skip
    return [json.dumps({"assets": assets})]


def coco(photos: Sequence[Photo]) -> list[str]:
    images = [{"id": n, "file_name": p.name, "width": p.size[0], "height": p.size[1]} for n, p in enumerate(photos)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": p.box} for n, p in enumerate(photos)]
    return [json.dumps({"images": images, "categories": [{"id": 1, "name": "tool"}], "annotations": boxes})]


def voc(photos: Sequence[Photo]) -> list[str]:
    return [
        f"<annotation><filename>{p.name}</filename><size><width>{p.size[0]}</width><height>{p.size[1]}</height></size>"
        f"<object><name>tool</name><bndbox><xmin>{p.box[0]}</xmin><ymin>{p.box[1]}</ymin>"
        f"<xmax>{p.box[0] + p.box[2]}</xmax><ymax>{p.box[1] + p.box[3]}</ymax></bndbox></object></annotation>"
        for p in photos
    ]


def annotated(
    photos: Sequence[Photo], dialect: Callable[[Sequence[Photo]], list[str]], folder: Path
) -> list[AnnotatedImage]:
    images: list[AnnotatedImage] = []
    for document in dialect(photos):
        (folder / "annotations").write_text(document, encoding="utf-8")
        images += read(folder / "annotations", "a", annotations_url="https://store/a").images
    return images


def cleaned(
    images: Sequence[AnnotatedImage], folder: Path, choice: ExifOrientation | None = None
) -> tuple[list[LabelledImage], list[Finding]]:
    labelled = [LabelledImage(image.url, folder / image.url.rpartition("/")[2], image.boxes) for image in images]
    sizes = {image.url: image.size for image in images if image.size}
    return clean(labelled, sizes, exif_orientation=choice, outlines=True)


def on_object(image: LabelledImage) -> float:
    """The share of the red pixels among those in the box, and of those in the box among the red ones: the smaller of the two."""
    found = red(open_rgb(image.path))
    (box,) = image.boxes
    inside = np.zeros_like(found)
    inside[round(box.y) : round(box.y + box.height), round(box.x) : round(box.x + box.width)] = True
    both = (found & inside).sum()
    return float(min(both / max(1, found.sum()), both / max(1, inside.sum())))


def texts(findings: Sequence[Finding]) -> str:
    return "\n".join(finding.what for finding in findings if finding.kind == "image")


# ------------------------------------------------------------------------------------------------------------- what tells

TURNED = "annotated without the EXIF orientation, as"
DOUBT = "with an EXIF orientation, and nothing tells whether the boxes were drawn on the turned photos"


@pytest.mark.parametrize("view", ["applied", "ignored"])
@pytest.mark.parametrize("dialect", [vott_csv, vott_json, coco, voc])
def test_boxes_lie_on_their_objects_in_all_orientations(
    dialect: Callable[[Sequence[Photo]], list[str]], view: ExifOrientation, tmp_path: Path
) -> None:
    photos = [photo(tmp_path, orientation, view, tells=True) for orientation in [*ORIENTATIONS] * 2]
    images, findings = cleaned(annotated(photos, dialect, tmp_path), tmp_path)
    assert len(images) == 16
    assert min(map(on_object, images)) > 0.9
    assert texts(findings) == (
        "14 photos annotated without the EXIF orientation, as 8 tell by size or boxes: the boxes were turned. If that is wrong, set the parameter "
        "exifOrientation to applied"
        if view == "ignored"
        else ""
    )


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("view", ["applied", "ignored"])
def test_every_format_of_images_may_have_an_orientation(kind: str, view: ExifOrientation, tmp_path: Path) -> None:
    photos = [photo(tmp_path, orientation, view, tells=True, kind=kind) for orientation in ORIENTATIONS]
    images, _ = cleaned(annotated(photos, vott_csv, tmp_path), tmp_path)
    assert min(map(on_object, images)) > 0.9


@pytest.mark.parametrize("view", ["applied", "ignored"])
def test_annotated_sizes_alone_tell(view: ExifOrientation, tmp_path: Path) -> None:
    photos = [photo(tmp_path, orientation, view, tells=False) for orientation in ORIENTATIONS]
    images, findings = cleaned(annotated(photos, vott_json, tmp_path), tmp_path)
    assert min(map(on_object, images)) > 0.9
    assert ("7 photos annotated without the EXIF orientation, as 4 tell" in texts(findings)) == (view == "ignored")


@pytest.mark.parametrize("view", ["applied", "ignored"])
@pytest.mark.parametrize(
    ("dialect", "orientations"), [(vott_csv, ORIENTATIONS), (vott_json, (1, *SAME_SIZE)), (coco, (1, *SAME_SIZE))]
)
def test_where_nothing_tells_the_doubt_and_the_parameter_that_decides_are_named(
    dialect: Callable[[Sequence[Photo]], list[str]], orientations: Sequence[int], view: ExifOrientation, tmp_path: Path
) -> None:
    photos = [photo(tmp_path, orientation, view, tells=False) for orientation in orientations]
    found = annotated(photos, dialect, tmp_path)
    images, findings = cleaned(found, tmp_path)
    assert [image.boxes for image in images] == [image.boxes for image in found]  # as they are
    assert f"{len(photos) - 1} photos {DOUBT}" in texts(findings)
    assert "set the parameter exifOrientation to ignored" in texts(findings)
    images, findings = cleaned(found, tmp_path, view)
    assert min(map(on_object, images)) > 0.9
    assert DOUBT not in texts(findings)
    assert ("as the parameter exifOrientation says: the boxes were turned" in texts(findings)) == (view == "ignored")


def test_boxes_on_turned_photos_with_sizes_of_the_stored_pixels_stay(tmp_path: Path) -> None:
    """As Label Studio exports COCO."""
    photos = [photo(tmp_path, orientation, "applied", tells=True) for orientation in SIDEWAYS]
    others = [photo(tmp_path, orientation, "applied", tells=False) for orientation in ORIENTATIONS]
    photos = [replace(one, size=(WIDTH, HEIGHT)) for one in (*photos, *others)]
    images, findings = cleaned(annotated(photos, coco, tmp_path), tmp_path)
    assert min(map(on_object, images)) > 0.9
    assert (
        texts(findings)
        == "8 photos annotated with the size of the stored pixels, but on the turned photo: the boxes are used as they are"
    )


def test_photos_of_two_programs_follow_their_own_sizes_and_others_stay_in_doubt(tmp_path: Path) -> None:
    desktop = [photo(tmp_path, orientation, "ignored", tells=False) for orientation in SIDEWAYS]
    browser = [photo(tmp_path, orientation, "applied", tells=False) for orientation in (*SIDEWAYS, 3)]
    images, findings = cleaned(annotated([*desktop, *browser], vott_json, tmp_path), tmp_path)
    assert min(map(on_object, images)) > 0.9
    assert "4 photos annotated without the EXIF orientation" in texts(findings)
    assert "1 photo with an EXIF orientation, and the photos that tell contradict each other" in texts(findings)


def test_a_mistaken_box_does_not_decide_for_the_file(tmp_path: Path) -> None:
    photos = [photo(tmp_path, 6, "ignored", tells=True) for _ in range(12)]
    photos += [photo(tmp_path, orientation, "ignored", tells=False) for orientation in ORIENTATIONS]
    mistaken = replace(photos[0], box=(10, 70, 20, 24))  # fits the turned photo only
    images, findings = cleaned(annotated([mistaken, *photos[1:]], vott_csv, tmp_path), tmp_path)
    assert min(map(on_object, images[1:])) > 0.9
    assert "18 photos annotated without the EXIF orientation, as 11 tell" in texts(findings)


def test_photos_that_contradict_each_other_decide_for_themselves(tmp_path: Path) -> None:
    photos = [photo(tmp_path, 6, view, tells=True) for view in ("applied", "ignored") for _ in range(3)]
    unclear = photo(tmp_path, 8, "applied", tells=False)
    images, findings = cleaned(annotated([*photos, unclear], vott_csv, tmp_path), tmp_path)
    assert min(map(on_object, images)) > 0.9
    assert "1 photo with an EXIF orientation, and the photos that tell contradict each other" in texts(findings)


def test_boxes_that_reach_a_little_beyond_their_photo_tell_nothing(tmp_path: Path) -> None:
    one = replace(photo(tmp_path, 6, "applied", tells=False), box=(40, 10, HEIGHT - 40 + 1, 20))
    _, findings = cleaned(annotated([one], vott_csv, tmp_path), tmp_path)
    assert DOUBT in texts(findings)


@pytest.mark.parametrize("view", ["applied", "ignored"])
@pytest.mark.parametrize("scale", [0.5, 3])
def test_copies_of_another_size_tell_as_well(scale: float, view: ExifOrientation, tmp_path: Path) -> None:
    photos = [photo(tmp_path, orientation, view, tells=False) for orientation in ORIENTATIONS]
    copies = [
        replace(p, box=tuple(side * scale for side in p.box), size=tuple(side * scale for side in p.size))
        for p in photos
    ]
    images, _ = cleaned(annotated(copies, vott_json, tmp_path), tmp_path)
    assert min(map(on_object, images)) > 0.9


def test_boxes_in_fractions_are_turned_in_fractions(tmp_path: Path) -> None:
    photos = [photo(tmp_path, orientation, "ignored", tells=False) for orientation in ORIENTATIONS]
    images = [
        AnnotatedImage(f"https://store/{p.name}", [Box(x / p.size[0], y / p.size[1], w / p.size[0], h / p.size[1], "tool", normalized=True)])
        for p in photos
        for x, y, w, h in [p.box]
    ]  # fmt: skip
    assert min(map(on_object, cleaned(images, tmp_path, "ignored")[0])) > 0.9
    assert f"7 photos {DOUBT}" in texts(cleaned(images, tmp_path)[1])


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_outlines_are_turned_with_their_boxes(orientation: int, tmp_path: Path) -> None:
    one = photo(tmp_path, orientation, "ignored", tells=True)
    x, y, w, h = one.box
    box = Box(x, y, w, h, "tool", (((x, y, x + w, y, x + w, y + h, x, y + h),),))
    (image,), _ = cleaned([AnnotatedImage(f"https://store/{one.name}", [box])], tmp_path, "ignored")
    ((ring,),) = image.boxes[0].outline or ()
    found = image.boxes[0]
    assert set(zip(ring[::2], ring[1::2], strict=True)) == {
        (left, top) for left in (found.x, found.x + found.width) for top in (found.y, found.y + found.height)
    }


def test_the_parameter_decides_against_sizes(tmp_path: Path) -> None:
    photos = [photo(tmp_path, orientation, "applied", tells=False) for orientation in ORIENTATIONS]
    photos = [replace(one, size=(WIDTH, HEIGHT)) for one in photos]
    images, findings = cleaned(annotated(photos, coco, tmp_path), tmp_path, "applied")
    assert min(map(on_object, images)) > 0.9
    assert texts(findings).startswith("4 photos annotated with the size of the stored pixels")


@pytest.mark.parametrize("view", ["applied", "ignored"])
def test_a_training_gets_the_boxes_that_its_parameter_says(
    view: ExifOrientation, server: HttpServer, tmp_path: Path
) -> None:
    photos = [photo(tmp_path, orientation, view, tells=False) for orientation in ORIENTATIONS]
    for one in photos:
        server.serve(f"/set/{one.name}", one.path.read_bytes())
    links = Links(server.serve("/set/a.csv", vott_csv(photos)[0].encode()), "", None)
    run = TrainingRun(
        links, tmp_path / "work", Progress(), parameters=validate(DataParameters, {"exifOrientation": view})
    )
    assert min(map(on_object, run.dataset().images)) > 0.9


def test_the_wrong_parameter_is_named_where_boxes_do_not_fit(tmp_path: Path) -> None:
    photos = [photo(tmp_path, 6, "applied", tells=True) for _ in range(3)]
    high = [replace(one, box=(10, 70, 20, 24)) for one in photos]
    with pytest.raises(BadAnnotationsError, match=r"3 of 3 boxes do not fit .*, or exifOrientation not ignored\."):
        cleaned(annotated(high, vott_csv, tmp_path), tmp_path, "ignored")


def test_photos_without_boxes_and_upright_ones_are_in_no_doubt(tmp_path: Path) -> None:
    photos = [photo(tmp_path, orientation, "applied", tells=False) for orientation in ORIENTATIONS]
    images = annotated(photos, vott_csv, tmp_path)
    negative = [replace(image, boxes=[]) for image in images[1:]]
    assert texts(cleaned([images[0], *negative], tmp_path)[1]) == ""


def test_images_of_another_shape_than_annotated_are_refused_if_they_are_many(tmp_path: Path) -> None:
    photos = [photo(tmp_path, 1, "applied", tells=False) for _ in range(4)]
    others = [replace(one, size=(100, 100)) for one in photos[:3]]
    with pytest.raises(
        BadAnnotationsError,
        match=r"3 of 4 images have another shape than annotated: https://store/photo0\.jpg: annotated",
    ):
        cleaned(annotated([*others, photos[3]], coco, tmp_path), tmp_path)
