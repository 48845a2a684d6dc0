"""Decoded images on disk: the same pixels without decoding, within the limits of the disk, the volume and the pod."""

import errno
import os
import shutil
import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision.classifier_samples import Crops, View
from vott_trainer.vision.decoded_cache import CacheMemory
from vott_trainer.vision.detector_samples import Samples
from vott_trainer.vision.spool import Spool, usable_bytes

GIB = 1 << 30
BYTES = 3 * 20 * 10  # an item

Disk = namedtuple("Disk", "total used free")


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """60 of 100 GiB are free."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Disk(100 * GIB, 40 * GIB, 60 * GIB))


@pytest.fixture
def labelled(tmp_path: Path) -> list[LabelledImage]:
    """Six images of different sizes and colors."""
    images = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (20, 10 - number), (number, 2 * number, 3 * number)).save(path)
        images.append(LabelledImage(f"https://store/{number}.png", path, [Box(number, 1, 5, 3, "a")], "a"))
    return images


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    (tmp_path / "work").mkdir()
    return Spool(tmp_path / "work", GIB)


def remove(images: list[LabelledImage]) -> None:
    for image in images:
        image.path.unlink()


def test_samples_beyond_the_memory_are_decoded_once(labelled: list[LabelledImage], spool: Spool) -> None:
    samples = Samples(labelled, ["a"], 20, CacheMemory(2 * BYTES), spool=spool)
    first = list(samples)
    remove(labelled)
    for one, again in zip(first, samples, strict=True):
        assert torch.equal(one.pixels, again.pixels)
        assert torch.equal(one.boxes, again.boxes)
        assert (one.image, one.scale) == (again.image, again.scale)


def test_crops_beyond_the_memory_are_decoded_once(labelled: list[LabelledImage], spool: Spool) -> None:
    crops = Crops([View(image, "a") for image in labelled], ["a"], 16, CacheMemory(0), spool=spool)
    first = list(crops)
    remove(labelled)
    assert all(torch.equal(one.pixels, again.pixels) for one, again in zip(first, crops, strict=True))


def test_threads_write_and_read_the_same_file(spool: Spool) -> None:
    images = [torch.full((3, 7 + n % 5, 11), n, dtype=torch.uint8) for n in range(200)]
    start = threading.Barrier(8)

    def again(numbers: range) -> bool:
        start.wait(10)
        places = [spool.add(images[number]) for number in numbers]
        found = [spool.read(place) for place in places if place]
        return all(torch.equal(images[n], one) for n, one in zip(numbers, found, strict=True) if one is not None)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(again, [range(start, 200, 8) for start in range(8)]))


def test_images_without_space_are_decoded_again(labelled: list[LabelledImage], tmp_path: Path) -> None:
    samples = Samples(labelled, ["a"], 20, CacheMemory(0), spool=Spool(tmp_path, 2 * BYTES))
    for _ in range(2):
        assert [int(sample.pixels[2, -1, -1]) for sample in samples] == [0, 3, 6, 9, 12, 15]
    assert (tmp_path / "decoded-0").stat().st_size <= 2 * BYTES


@pytest.mark.parametrize("failure", ["full", "partly full", "read-only"])
def test_disk_that_fails_does_not_fail_the_training(
    labelled: list[LabelledImage], spool: Spool, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite

    def pwrite(file: int, data: memoryview, offset: int) -> int:
        if failure == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data.cast("B")[:-1], offset)

    if failure == "read-only":
        spool._folder = Path("/proc")
    monkeypatch.setattr(os, "pwrite", pwrite)
    samples = Samples(labelled, ["a"], 20, CacheMemory(0), spool=spool)
    for _ in range(2):
        assert [int(sample.pixels[2, -1, -1]) for sample in samples] == [0, 3, 6, 9, 12, 15]


def test_image_that_cannot_be_read_back_is_decoded_again(labelled: list[LabelledImage], spool: Spool) -> None:
    samples = Samples(labelled, ["a"], 20, CacheMemory(0), spool=spool)
    first = list(samples)
    os.truncate(spool._folder / "decoded-0", BYTES + 50)  # the first image is left, and a part of the second
    assert all(torch.equal(one.pixels, again.pixels) for one, again in zip(first, samples, strict=True))


def test_processes_of_a_node_have_files_of_their_own(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Spool(tmp_path / "work", GIB)
    monkeypatch.setenv("LOCAL_RANK", "0")
    mine = spool.add(torch.zeros(3, 4, 4, dtype=torch.uint8))
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert other.add(torch.ones(3, 4, 4, dtype=torch.uint8)) == mine
    assert mine
    found = spool.read(mine)
    assert found is not None
    assert not found.any()


def test_disk_that_others_fill_is_left_alone(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.zeros(3, 4, 4, dtype=torch.uint8)
    assert spool.add(image)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Disk(100 * GIB, 95 * GIB, 5 * GIB))
    assert not spool.add(image)


@pytest.mark.parametrize(
    ("environment", "usable"),
    [
        ({}, 55 * GIB // 2),
        ({"VOTT_WORK_BYTES": str(99 * GIB)}, 20 * GIB),  # of a node's disk, a fifth stays free
        ({"VOTT_WORK_BYTES": str(12 * GIB)}, 4 * GIB),  # 4 GiB are images
        ({"VOTT_WORK_BYTES": str(12 * GIB), "VOTT_EPHEMERAL_BYTES": str(10 * GIB)}, 3 * GIB),
        ({"VOTT_WORK_BYTES": str(12 * GIB), "VOTT_EPHEMERAL_BYTES": "0"}, 4 * GIB),  # a node that does not say
        ({"VOTT_WORK_BYTES": str(12 * GIB), "LOCAL_WORLD_SIZE": "4"}, GIB),
        ({"VOTT_WORK_BYTES": str(3 * GIB)}, 0),
    ],
)
def test_volume_and_pod_limit_what_is_used(environment: dict[str, str], usable: int, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with (tmp_path / "images" / "one").open("wb") as file:
        file.truncate(4 * GIB)  # takes no space
    assert usable_bytes(tmp_path, environment) == usable
