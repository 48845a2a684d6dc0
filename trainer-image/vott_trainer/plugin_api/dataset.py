"""The annotated images of a training: fetched, checked and on disk."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path

from vott_trainer.annotations.findings import Finding
from vott_trainer.annotations.model import Box


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """A decodable image on disk, with its boxes or with the class of the whole image.

    Images with the same `scene` are nearly alike: never train on one and measure on another. None: a scene of its own. `size` is the width
    and height in pixels, EXIF rotation applied; None only before the checks.
    `video` identifies the video that it is a frame of, where the annotations say so.
    """

    url: str
    path: Path
    boxes: list[Box]
    label: str | None = None
    scene: int | None = None
    size: tuple[int, int] | None = None
    video: str | None = None

    @property
    def scene_key(self) -> Hashable:
        """What identifies the image's scene among all images."""
        return self.path if self.scene is None else self.scene


@dataclass(frozen=True)
class Dataset:
    """The usable images in the annotation file's order, the sorted labels, and the findings of the checks."""

    images: list[LabelledImage]
    labels: list[str]
    findings: list[Finding] = field(default_factory=list)
