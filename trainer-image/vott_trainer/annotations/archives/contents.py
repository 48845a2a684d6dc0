"""The files of an unpacked archive: on disk they have numbers, so that no name in an archive decides where anything is written."""

import json
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Self

INDEX = "index.json"
IMAGES = frozenset(
    [".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"]
)
TEXTS = frozenset([".csv", ".data", ".json", ".jsonl", ".labels", ".names", ".txt", ".tsv", ".xml", ".yaml", ".yml"])


Parts = tuple[str, ...]
"""The folders of a path, and the file's own name."""


def common(one: Parts, other: Parts) -> int:
    """Return how many parts agree, from the first on."""
    pairs = zip(one, other, strict=False)
    return next((count for count, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))


def key(name: str) -> str:
    """Return what names that differ in case or in Unicode's normal form alone have in common."""
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True)
class File:
    """A file of an archive: `name` is its path there, `path` where its content is now."""

    name: str
    path: Path

    @cached_property
    def parts(self) -> Parts:
        """The folders and the file's own name."""
        return PurePosixPath(self.name).parts

    @cached_property
    def normal_name(self) -> str:
        """The file's own name in Unicode's form NFC."""
        return unicodedata.normalize("NFC", self.parts[-1])

    @cached_property
    def keys(self) -> Parts:
        """The parts by which files are compared: without regard to case and to Unicode's normal forms."""
        return tuple(map(key, self.parts))

    @cached_property
    def stem(self) -> str:
        """The file's own name without its ending."""
        return PurePosixPath(self.name).stem

    @cached_property
    def suffix(self) -> str:
        """The ending, in lower case."""
        return PurePosixPath(self.name).suffix.lower()


@dataclass(frozen=True)
class Contents:
    """What an archive holds: images, and texts that may be annotations.

    `ignored` counts the other files by their endings; `links` are names of links, devices and the like, which are not unpacked.
    """

    images: list[File]
    texts: list[File]
    ignored: dict[str, int] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the index of an unpacked archive."""
        index = json.loads((folder / INDEX).read_bytes())
        files = [File(name, folder / number) for name, number in index["files"].items()]
        images, texts = ([file for file in files if file.suffix in kinds] for kinds in (IMAGES, TEXTS))
        return cls(images, texts, index["ignored"], index["links"])


def write_index(folder: Path, files: dict[str, str], ignored: dict[str, int], links: list[str]) -> None:
    """Write the index: it is the last file, and marks the folder as complete."""
    index = {"files": files, "ignored": ignored, "links": links}
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")
