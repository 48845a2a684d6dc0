"""Quality on photographs: the default detector finds specimens that it has never seen, before unseen backgrounds.

test_detector_quality.py does the same with simple shapes.
"""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from PIL import ImageDraw

from tests.support import cpu_budget
from tests.support.http_server import HttpServer
from tests.support.photo_composites import HEIGHT, WIDTH, Material, Photo, training_and_unseen
from tests.support.trainer_process import run_trainer
from vott_trainer.plugin_api import Prediction
from vott_trainer.plugins.detection import Detection
from vott_trainer.vision.average_precision import AveragePrecision, Image, Objects, average_precision

TRAINING, UNSEEN = 80, 80
# The number of epochs decides, not the time: a slow machine gives the same model.
PARAMETERS = {"epochs": 15, "imageSize": 256, "budgetMinutes": 1000}
LABELS = ["bird", "fruit", "grazer"]


def serve(server: HttpServer, photos: list[Photo]) -> str:
    """Serve the photographs and their annotations; return the URL of the annotations."""
    lines = []
    for photo in photos:
        url = server.serve(f"/{photo.name}", photo.jpeg)
        lines += [f"{url},{o.x},{o.y},{o.width},{o.height},{o.label}" for o in photo.objects]
    return server.serve("/annotations.csv", "\n".join(lines).encode())


def measured(model: Path, photos: list[Photo], folder: Path) -> AveragePrecision:
    """Average precision of an unpacked model."""
    images = []
    for photo in photos:
        path = folder / photo.name
        path.write_bytes(photo.jpeg)
        truth = Objects(
            [[o.x, o.y, o.width, o.height] for o in photo.objects], [number(o.label) for o in photo.objects]
        )
        images.append(Image(WIDTH, HEIGHT, truth, _objects(Detection().predict(model, path))))
    return average_precision(images, LABELS)


def _objects(predictions: list[Prediction]) -> Objects:
    boxes = [prediction.box for prediction in predictions if prediction.box]
    return Objects(
        [[box.x, box.y, box.width, box.height] for box in boxes],
        [number(prediction.label) for prediction in predictions],
        [prediction.score for prediction in predictions],
    )


def number(label: str) -> int:
    """The class' number, from 1."""
    return LABELS.index(label) + 1


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


def test_default_detector_finds_unseen_specimens_in_photographs(
    server: HttpServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training, unseen = training_and_unseen()
    minutes_before = cpu_budget.children_cpu_minutes()
    annotations = serve(server, training.photos(TRAINING, seed=1))
    arguments = ["--annotations", annotations, "--model", f"{tmp_path}/model/"]
    process = run_trainer(*arguments, "--parameters", json.dumps(PARAMETERS))
    minutes = cpu_budget.children_cpu_minutes() - minutes_before
    assert process.returncode == 0, process.stdout + process.stderr
    precision = measured(tmp_path / "model", unseen.photos(UNSEEN, seed=2), tmp_path)
    with capsys.disabled():
        print(f"\nunseen photographs: mAP50 {precision.map50:.3f}, mAP {precision.map:.3f}, {minutes:.2f} CPU minutes")
    assert precision.map50 >= 0.5
