"""Photographs composed for a test of quality: what is unseen, and the boxes."""

import io
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw

from tests.support.photo_composites import Material, training_and_unseen

LABELS = ["bird", "fruit", "grazer"]


def test_training_and_unseen_photographs_have_no_specimen_and_no_background_in_common() -> None:
    training, unseen = training_and_unseen()
    assert training.backgrounds
    assert not {*training.backgrounds} & {*unseen.backgrounds}
    for label in LABELS:
        assert len(training.stamps[label]) > len(unseen.stamps[label]) > 5
        assert not training.stamps[label].keys() & unseen.stamps[label].keys()
        assert not {file for files in training.stamps[label].values() for file in files} & {
            file for files in unseen.stamps[label].values() for file in files
        }


def test_boxes_enclose_what_is_visible_of_the_objects(tmp_path: Path) -> None:
    colours = {"red": (230, 20, 20), "blue": (20, 20, 230)}
    Picture.new("RGB", (960, 720), (128, 128, 128)).save(tmp_path / "grey.png")
    for label, colour in colours.items():
        stamp = Picture.new("RGBA", (200, 160))
        ImageDraw.Draw(stamp).ellipse((30, 20, 150, 120), fill=colour)
        stamp.save(tmp_path / f"{label}.png")
    material = Material([tmp_path / "grey.png"], {label: {"one": [tmp_path / f"{label}.png"]} for label in colours})
    photos = [
        photo for photo in material.photos(30, seed=3) if len({o.label for o in photo.objects}) == len(photo.objects)
    ]
    assert {len(photo.objects) for photo in photos} == {1, 2}
    for photo in photos:
        pixels = np.asarray(Picture.open(io.BytesIO(photo.jpeg)), np.int16)
        for found in photo.objects:
            own, other = (0, 2) if found.label == "red" else (2, 0)
            rows, columns = np.nonzero(pixels[..., own] - pixels[..., other] > 60)
            sides = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            box = [found.x, found.y, found.x + found.width, found.y + found.height]
            assert np.abs(np.subtract(sides, box)).max() <= 3  # the picture is blurred and compressed
