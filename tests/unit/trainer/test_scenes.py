"""Scenes: frames of a video, bursts and near-duplicates are found, and images that only look similar are not."""

import io
import random
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from tests.support.annotated_images import image_with_shapes, one_shape
from vott_trainer.annotations import Box
from vott_trainer.data import scenes
from vott_trainer.data.scenes import find_scenes
from vott_trainer.plugin_api import LabelledImage

BOX = Box(1, 2, 3, 4, "cat")
STORE = "https://store/images/"


def picture(seed: int) -> Image.Image:
    """Smooth random colours, as different from another seed as two photos."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(seed: int, taken: str, camera: str = "X100") -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Maker", camera
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    return encoded(picture(seed), exif=exif)


def scenes_of(folder: Path, files: dict[str, bytes]) -> list[list[int]]:
    """Find the scenes of more than one image, as indexes; files by the end of their URL."""
    found = find_scenes(written(folder, files)).of_images
    return [members for s in sorted(set(found)) if len(members := [i for i, x in enumerate(found) if x == s]) > 1]


def written(folder: Path, files: dict[str, bytes]) -> list[LabelledImage]:
    for number, content in enumerate(files.values()):
        (folder / str(number)).write_bytes(content)
    return [LabelledImage(STORE + name, folder / str(number), [BOX]) for number, name in enumerate(files)]


def different(names: Sequence[str]) -> dict[str, bytes]:
    return {name: encoded(picture(number)) for number, name in enumerate(names)}


@pytest.mark.parametrize(
    "names",
    [
        ("clip.mp4%23t=1.5.jpg", "clip.mp4%23t=12.jpg"),
        ("clip.mp4%2523t=1.5.jpg", "clip.mp4%2523t=12.jpg"),
        ("clip.mp4#t=1.5", "clip.mp4#t=2"),
        ("clip_frame_0001.jpg", "clip_frame_0020.jpg"),
        ("Clip-frame1.png", "Clip-frame2.png"),
        ("clip/frame0001.jpg", "clip/frame0002.jpg?sv=1"),
        ("clip_mp4-1_jpg.rf.0a1b2c.jpg", "clip_mp4-2_jpg.rf.ffee.jpg"),
    ],
)
def test_frames_of_a_video_are_one_scene(names: tuple[str, str], tmp_path: Path) -> None:
    assert scenes_of(tmp_path, different([*names, "other.jpg"])) == [[0, 1]]


@pytest.mark.parametrize(
    "names",
    [
        ("one.mp4%23t=1.jpg", "two.mp4%23t=1.jpg"),
        ("one_frame_1.jpg", "two_frame_1.jpg"),
        ("one/frame_1.jpg", "two/frame_1.jpg"),
        ("0001.jpg", "0002.jpg"),
        ("IMG_0001.jpg", "IMG_0002.jpg"),
        ("framed.jpg", "frame.jpg"),
    ],
)
def test_other_names_are_different_scenes(names: tuple[str, str], tmp_path: Path) -> None:
    assert scenes_of(tmp_path, different(names)) == []


def test_frames_that_the_annotations_name_are_one_scene_whatever_their_names(tmp_path: Path) -> None:
    images = written(tmp_path, different(["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]))
    videos = ["one/v.mp4", "two/v.mp4", None, "one/v.mp4", None]
    images = [replace(image, video=video) for image, video in zip(images, videos, strict=True)]
    one, two, *others = find_scenes(images).of_images
    assert others[1] == one
    assert len({one, two, *others}) == 4


def test_burst_is_one_scene(tmp_path: Path) -> None:
    times = ["12:00:00", "12:00:01", "12:00:03", "12:00:09", "12:00:10"]
    files = {f"IMG_{number}.jpg": photo(number, f"2026:01:01 {time}") for number, time in enumerate(times)}
    assert scenes_of(tmp_path, files) == [[0, 1, 2], [3, 4]]


def test_photos_of_two_cameras_or_folders_are_no_burst(tmp_path: Path) -> None:
    now = "2026:01:01 12:00:00"
    files = {"a/1.jpg": photo(1, now), "b/2.jpg": photo(2, now), "a/3.jpg": photo(3, now, "X200")}
    assert scenes_of(tmp_path, files) == []


@pytest.mark.parametrize("taken", ["", "yesterday", "0000:00:00 00:00:00"])
def test_unreadable_times_are_no_burst(taken: str, tmp_path: Path) -> None:
    assert scenes_of(tmp_path, {"1.jpg": photo(1, taken), "2.jpg": photo(2, taken)}) == []


def test_near_duplicates_are_one_scene(tmp_path: Path) -> None:
    image = picture(1)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    variants = {
        "as-it-is.png": encoded(image, "PNG"),
        "compressed.jpg": encoded(image, quality=30),
        "small.jpg": encoded(image.resize((160, 120))),
        "darker.png": encoded(image.point(lambda value: value * 0.7), "PNG"),
        "cropped.jpg": encoded(image.crop((4, 4, 316, 238))),
        "turned.jpg": encoded(image.transpose(Image.Transpose.ROTATE_90), exif=turned),
        "other.jpg": encoded(picture(2)),
    }
    assert scenes_of(tmp_path, variants) == [[0, 1, 2, 3, 4, 5]]


def test_mirrored_image_is_a_scene_of_its_own(tmp_path: Path) -> None:
    image = picture(1)
    assert scenes_of(tmp_path, {"a": encoded(image), "b": encoded(ImageOps.mirror(image))}) == []


def test_images_of_one_kind_stay_different_scenes(tmp_path: Path) -> None:
    """As under a microscope: disks of one size at random places on a textured ground."""
    files = {}
    for seed in range(60):
        rng, ground = random.Random(seed), np.random.default_rng(seed).normal(180, 3, (96, 128))
        rows, columns = np.mgrid[:96, :128]
        for _ in range(30):
            x, y = rng.uniform(0, 128), rng.uniform(0, 96)
            ground[(columns - x) ** 2 + (rows - y) ** 2 < 10**2] -= 25
        files[f"{seed}.png"] = encoded(Image.fromarray(ground.clip(0, 255).astype(np.uint8)), "PNG")
    assert scenes_of(tmp_path, files) == []


def test_flat_drawings_are_not_compared(tmp_path: Path) -> None:
    files = {f"{seed}.png": image_with_shapes(seed)[0] for seed in range(60)}
    files |= {f"one/{seed}.png": one_shape(seed)[0] for seed in range(60)}
    assert scenes_of(tmp_path, files) == []


def test_pairs_are_found_beyond_one_block_of_comparisons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "BLOCK", 3)
    pictures = [*range(8), 1, 7]
    files = {f"{n}.jpg": encoded(picture(seed), quality=90 - n) for n, seed in enumerate(pictures)}
    assert scenes_of(tmp_path, files) == [[1, 8], [7, 9]]


def test_scene_of_all_images_is_cut_into_consecutive_parts(tmp_path: Path) -> None:
    names = [f"clip_frame_{number}.jpg" for number in range(1, 31)]
    images = written(tmp_path, different(names))
    random.Random(0).shuffle(images)
    found = find_scenes(images)
    by_number = sorted(zip(images, found.of_images, strict=True), key=lambda pair: int(pair[0].path.name))
    assert [scene for _, scene in by_number] == [s for part in range(0, 30, 3) for s in [by_number[part][1]] * 3]
    assert len(set(found.of_images)) == 10
    assert "30 of 30 images are of one video, burst or series of near-duplicates" in found.findings[0].what


def test_scene_that_leaves_others_to_be_held_out_stays_whole(tmp_path: Path) -> None:
    names = [f"clip_frame_{number}.jpg" for number in range(12)] + [f"{number}.jpg" for number in range(8)]
    assert scenes_of(tmp_path, different(names)) == [list(range(12))]


def test_two_images_of_one_scene_can_still_be_split(tmp_path: Path) -> None:
    assert scenes_of(tmp_path, different(["clip_frame_1.jpg", "clip_frame_2.jpg"])) == []


def test_findings_count_scenes_and_their_images(tmp_path: Path) -> None:
    names = ["a_frame_1.jpg", "a_frame_2.jpg", "b_frame_1.jpg", "b_frame_2.jpg", "b_frame_3.jpg", "c.jpg"]
    (finding,) = find_scenes(written(tmp_path, different(names))).findings
    assert finding.what.startswith("2 scenes have several images (5 in all)")
    assert find_scenes(written(tmp_path, different(["a.jpg", "b.jpg"]))).findings == []


def test_no_images_have_no_scenes() -> None:
    assert find_scenes([]).of_images == []


def test_comparing_many_images_takes_little_memory() -> None:
    hashes = np.random.default_rng(0).random((4000, 256)) < 0.5
    tracemalloc.start()
    try:
        scenes._join_similar(np.arange(len(hashes)), hashes)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30e6, "gigabytes for 50,000 images"
