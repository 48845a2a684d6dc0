"""Scenes: images so alike that a model trained on one of them would know the other.

Images of one scene must be on one side of the split. They are frames of one video (by name or annotation), photos of one burst (by EXIF data) or
near-duplicates (by perceptual hash).
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from vott_trainer.annotations.findings import Finding
from vott_trainer.data.image_signature import BITS, Signature, signatures
from vott_trainer.plugin_api import LabelledImage

# Of 364 microscope images and 200 photos, the hashes of unrelated images differ by 0.29 or more, of near-duplicates by 0.24 or less.
MAX_DIFFERENCE = 0.25
MIN_BITS = 72  # of a hash; with fewer, the image is too flat to tell it from others
MOST_COMPARED = 100_000  # images; comparing all pairs takes a minute
BURST_SECONDS = 2.0  # between two photos
MAX_SHARE = 0.75  # of the images with objects; a larger scene would leave too few others
PARTS = 10  # of a scene that is too large
BLOCK = 256  # hashes compared with all others at a time

_VIDEO_TYPES = "avi|m4v|mkv|mov|mp4|mpe?g|ogv|webm|wmv"
_FRAME_OF_FILE = re.compile(
    rf"(.*[._](?:{_VIDEO_TYPES}))[^a-z0-9].*\d.*", re.IGNORECASE
)  # clip.mp4#t=1.5.jpg, clip_mp4-12.jpg
_FRAME_NUMBER = re.compile(
    r"(.*?)[^a-z0-9]*frame[^a-z0-9]*\d+\D*", re.IGNORECASE
)  # clip_frame_0001.jpg, clip/frame1.jpg
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Scenes:
    """The scene of each image, as numbers, and findings about them."""

    of_images: list[int]
    findings: list[Finding]


def find_scenes(images: Sequence[LabelledImage]) -> Scenes:
    """Find the scenes of images whose files are on disk."""
    found = signatures([image.path for image in images])
    scenes = np.arange(len(images))
    for group in (*_videos(images), *_bursts(images, found)):
        _join(scenes, group)
    if len(images) <= MOST_COMPARED:
        _join_similar(scenes, np.array([one.hash for one in found], np.bool_).reshape(-1, BITS))
    findings = [*_too_large(scenes, images), *_summary(scenes)]
    return Scenes(scenes.tolist(), findings)


def _videos(images: Sequence[LabelledImage]) -> Iterator[list[int]]:
    videos: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        if image.video:
            videos["", image.video].append(index)
        folder, name = _folder_and_name(image.url)
        if frame := _FRAME_OF_FILE.fullmatch(name) or _FRAME_NUMBER.fullmatch(name):
            videos[folder, frame[1].lower()].append(index)
    yield from videos.values()


def _bursts(images: Sequence[LabelledImage], found: Sequence[Signature]) -> Iterator[list[int]]:
    """Yield photos of one camera and folder, each taken within seconds of the one before. File names alone say nothing."""
    cameras: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, one in enumerate(found):
        if one.taken:
            cameras[_folder_and_name(images[index].url)[0], one.camera].append(index)
    for group in cameras.values():
        shots = sorted((taken, index) for index in group if (taken := found[index].taken))
        for (before, first), (after, second) in itertools.pairwise(shots):
            if (after - before).total_seconds() <= BURST_SECONDS:
                yield [first, second]


def _folder_and_name(url: str) -> tuple[str, str]:
    """Split a URL without its query. VoTT's names of frames have an encoded #, which exports encode once more."""
    parts = urlsplit(url)
    path = unquote(unquote(parts.path)) + (f"#{parts.fragment}" if parts.fragment else "")
    folder, _, name = path.rpartition("/")
    return parts.netloc + folder, name


def _join(scenes: NDArray[np.int64], group: Sequence[int]) -> None:
    """Make one scene of those of these images."""
    for scene in np.unique(scenes[group])[1:]:
        scenes[scenes == scene] = scenes[group].min()


def _join_similar(scenes: NDArray[np.int64], hashes: NDArray[np.bool_]) -> None:
    """Join images whose hashes differ in at most a share of the bits set in either (Dice's dissimilarity)."""
    set_bits = hashes.sum(axis=1)
    rich = np.flatnonzero(set_bits >= MIN_BITS)
    bits, counts = hashes[rich].astype(np.float32), set_bits[rich].astype(np.float32)
    for start in range(0, len(rich), BLOCK):
        end = start + BLOCK
        similar = 2 * (bits[start:end] @ bits.T) >= (1 - MAX_DIFFERENCE) * (counts[start:end, None] + counts)
        for index, row in zip(rich[start:end], similar, strict=True):
            alike = rich[row]
            if (scenes[alike] != scenes[index]).any():
                _join(scenes, alike)


def _too_large(scenes: NDArray[np.int64], images: Sequence[LabelledImage]) -> Iterator[Finding]:
    """Cut a scene with nearly all of the images with objects into consecutive parts, by name, so that a split is possible."""
    with_objects = np.array([bool(image.boxes or image.label) for image in images], np.bool_)
    total = with_objects.sum()
    counts = np.bincount(scenes, with_objects, minlength=1)
    for scene in (
        np.flatnonzero((counts == total) | ((counts > MAX_SHARE * total) & (counts >= PARTS))) if total > 1 else ()
    ):
        members = sorted(np.flatnonzero(scenes == scene).tolist(), key=lambda index: _natural(images[index].url))
        for part in np.array_split(members, min(PARTS, len(members))):
            scenes[part] = part.min()
        yield Finding(
            "scene",
            "",
            f"{len(members)} of {len(images)} images are of one video, burst or series of near-duplicates. So that some of them can be held "
            "out, they were cut into consecutive parts: the metrics are better than on new scenes. Add images of other scenes",
        )


def _natural(url: str) -> list[tuple[int, str]]:
    """Sort numbers in names by value."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in _NUMBER.split(unquote(unquote(url))) if part]


def _summary(scenes: NDArray[np.int64]) -> Iterator[Finding]:
    _, counts = np.unique(scenes, return_counts=True)
    several = counts[counts > 1]
    if len(several):
        plural = "scene has" if len(several) == 1 else "scenes have"
        yield Finding(
            "scene",
            "",
            f"{len(several)} {plural} several images ({several.sum()} in all): frames of a video, photos of a burst, or near-duplicates. "
            "All images of a scene are trained on, or all are held out",
        )
