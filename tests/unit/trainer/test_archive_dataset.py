"""An archive as a training sees it: fetched once, unpacked, its images checked and its boxes in pixels of them."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.annotated_images import png
from tests.support.http_server import HttpServer
from tests.support.packed import Files, packed
from vott_trainer.annotations import Box
from vott_trainer.data import image_download
from vott_trainer.errors import BadAnnotationsError, NoUsableImagesError
from vott_trainer.plugin_api import DataParameters, Links
from vott_trainer.progress.progress import Progress
from vott_trainer.training_run import TrainingRun

SIZE = (100, 60)
YAML = "names: [cat, dog]\n"


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as running:
        yield running


def noise(seed: int) -> bytes:
    """An image of its own scene."""
    pixels = random.Random(seed).randbytes(SIZE[0] * SIZE[1] * 3)
    return png(Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(SIZE[1], SIZE[0], 3)))


def run_of(files: Files, server: HttpServer, tmp_path: Path, kind: str = "zip", **parameters: Any) -> TrainingRun:
    archive = packed(tmp_path / "archive", files, kind).read_bytes()
    links = Links(server.serve(f"/data/pets.{kind}", archive) + "?sig=SECRET", "", None)
    return TrainingRun(links, tmp_path / "work", Progress(lambda *_: None), parameters=DataParameters(**parameters))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_boxes_of_yolo_are_in_pixels_of_the_archives_images(kind: str, server: HttpServer, tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"data.yaml": YAML}
    for number in range(3):
        files |= {f"images/{number}.png": noise(number), f"labels/{number}.txt": "1 0.5 0.5 0.2 0.5\n"}
    run = run_of(files, server, tmp_path, kind)
    dataset = run.dataset()
    assert [image.boxes for image in dataset.images] == [[Box(40, 15, 20, 30, "dog")]] * 3
    assert [image.path.read_bytes() for image in dataset.images] == [noise(number) for number in range(3)]
    assert [image.url for image in dataset.images] == [f"pets.{kind}/images/{number}.png" for number in range(3)]
    assert [request.path for request in server.requests] == [f"/data/pets.{kind}"]
    assert not (tmp_path / "work/annotations").exists()
    assert dataset.findings[1:] == []  # the classes have too few examples


def test_damaged_image_of_an_archive_is_left_out_with_its_name(server: HttpServer, tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"data.yaml": YAML}
    for number in range(12):
        files |= {f"{number}.png": noise(number), f"{number}.txt": f"{number % 2} 0.5 0.5 0.2 0.5\n"}
    dataset = run_of(files | {"7.png": noise(7)[:500]}, server, tmp_path).dataset()
    assert len(dataset.images) == 11
    assert dataset.findings[0].where == "pets.zip/7.png"


def test_damaged_images_of_an_archive_fail_with_the_remedy(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"data.yaml": YAML, "1.png": noise(1), "1.txt": "1 0.5 0.5 0.2 0.5\n"}
    limits = image_download.ImageLimits(image_bytes=1 << 10)
    monkeypatch.setattr(image_download, "ImageLimits", lambda: limits)
    with pytest.raises(
        NoUsableImagesError, match=r"pets.zip/1.png: larger than the limit of 0 MiB. Replace or convert these files"
    ):
        run_of(files, server, tmp_path).dataset()


def test_hostile_archive_fails_as_annotations_do(server: HttpServer, tmp_path: Path) -> None:
    with pytest.raises(BadAnnotationsError, match=r"pets.zip holds '../a.png', which leads out of the archive"):
        run_of({"../a.png": noise(1)}, server, tmp_path).dataset()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [
        tmp_path / "archive",
        tmp_path / "work/annotations",
    ]
