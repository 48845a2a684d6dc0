"""The image of an archive that a name in its annotations stands for.

Names may have folders of the annotator's computer, or none; archives arrange images and annotations in many ways. So the image of the right
name is taken that shares most folders with the name and the annotation file. Where two fit equally well, or two names would mean the same image,
the annotations are refused: boxes must never move to another image.
"""

import contextlib
import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from vott_guard.urls import is_url
from vott_trainer.annotations import name_readings
from vott_trainer.annotations.archives.contents import Contents, File, Parts, common, key
from vott_trainer.annotations.archives.packed_files import OTHER_NAMES
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import FormatError, ImageLink, Row
from vott_trainer.annotations.values import excerpt

CODE_PAGES = ("cp850", "cp1252", "cp852", "cp1250", "cp866", "cp1251", "cp932", "gbk", "big5", "cp949")  # of Windows
_UPLOADED = re.compile(r"(.*[\\/]|)[0-9a-f]{8}-([^\\/]+)")  # Label Studio puts a random number before names


class ArchiveImages:
    """The images of an archive, by their names."""

    def __init__(self, contents: Contents, name: str) -> None:
        """Index the images; `name` is the archive's."""
        self.images = {quote(f"{name}/{image.name}"): image for image in contents.images}
        """By the text that stands for a URL: the archive's name and the name in it."""
        self._links = {image.name: ImageLink((url,)) for url, image in self.images.items()}
        self._by_path = {image.parts: image for image in contents.images}
        self._by_name: defaultdict[str, list[File]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[File]] = defaultdict(list)
        self._claims: dict[str, str] = {}
        self.conflict = ""
        """The first two names that would be the same image, for an error: boxes of one of them lie on the wrong image."""
        for image in contents.images:
            self._by_name[key(image.parts[-1])].append(image)
            self._by_stem[key(image.stem)].append(image)

    def is_used(self, image: File) -> bool:
        """Whether annotations have named an image."""
        return image.name in self._claims

    def url(self, image: File) -> str:
        """Return what stands for an image's URL."""
        return self._links[image.name].urls[0]

    def named(self, path: str, near: File, subset: str = "") -> File | None:
        """Return the image that a path in the annotation file `near` stands for; None if there is no image of that name.

        Raises:
            FormatError: several images fit equally well.
        """
        readings = list(_readings(path))
        for parts in itertools.chain(readings, _in_code_pages(readings[0])):
            place = _place(parts, near) if not _is_elsewhere(path) else parts
            found = self._by_name.get(key(parts[-1])) or self._by_stem.get(key(parts[-1]))
            if found:
                return self._by_path.get(place) or _nearest(found, place, near, subset)
        if uploaded := _UPLOADED.fullmatch(path):
            return self.named(uploaded[1] + uploaded[2], near, subset)
        return None

    def beside(self, near: File, path: Parts | None = None) -> File | None:
        """Return the image with the annotation file's own name, with another ending; None if there is none.

        Args:
            path: where to look instead of beside the file, without ending.

        Raises:
            FormatError: several images fit equally well.
        """
        found = self._by_stem.get(key(near.stem))
        return _nearest(found, path or (*near.parts[:-1], near.stem), near) if found else None

    def claimed(self, row: Row) -> Row:
        """Return a row with the image of the archive that its link has, if any; two references for one image are a conflict."""
        for url in row.image.urls:
            if image := self.images.get(url):
                return replace(row, image=self.claim(image, row.image.path))
        return row

    def claim(self, image: File, reference: str) -> ImageLink:
        """Return the link to an image that `reference` stands for."""
        first = self._claims.setdefault(image.name, reference)
        if first != reference and not self.conflict:
            self.conflict = f"{excerpt(first)} and {excerpt(reference)} would both be its image {excerpt(image.name)}"
        return self._links[image.name]


@dataclass(frozen=True)
class ImagesNear(ImageUrls):
    """What readers of annotation files resolve names with, for the file `near` of an archive.

    What is no image of the archive is looked for at its URL, if there is one: an absolute URL, below `imagesUrl`, or beside an archive
    that holds no images.
    """

    images: ArchiveImages = field(kw_only=True)
    near: File = field(kw_only=True)
    elsewhere: ImageUrls = field(kw_only=True)

    def resolve(self, path: str) -> ImageLink:
        """Return the link to an image.

        Raises:
            FormatError: there is no such image, or several.
        """
        return self.resolve_in("", path)

    def resolve_in(self, subset: str, path: str) -> ImageLink:
        """Return the link to an image of a subset, which may have a folder of its own.

        Raises:
            FormatError: as `resolve`.
        """
        path = path.strip()
        if path and (found := self.images.named(path, self.near, subset)):
            return ImageLink((self.images.url(found),), self._reference(path, subset, found))
        return self._outside(path)

    def below(self, name: str) -> Iterable[str]:
        """Return the URL of an image that is named without regard to where the annotations lie.

        Raises:
            FormatError: as `resolve`.
        """
        return self.resolve(f"/{name}").urls

    def resolve_beside(self, path: str) -> ImageLink:
        """Return the link to the image that has the annotation file's name, or else the one at `path`.

        Raises:
            FormatError: as `resolve`, or these are two images.
        """
        named = self.images.named(path, self.near) if path.strip() else None
        beside = self.images.beside(self.near) if not named or key(named.stem) != key(self.near.stem) else named
        if named and beside and named != beside:
            raise FormatError(
                f"names the image {excerpt(named.name)}, but has the name of {excerpt(beside.name)}: correct one of the names"
            )
        if found := named or beside:
            return ImageLink((self.images.url(found),), found.name)
        return self._outside(path)

    def _reference(self, path: str, subset: str, found: File) -> str:
        """Return the folders that a path names, and the image's own name: another path for the same image would differ in the folders."""
        parts = next(_readings(path))
        folders = (parts if _is_elsewhere(path) else _place(parts, self.near))[:-1]
        return "/".join([*([subset] if subset else []), *folders, found.parts[-1]])

    def _outside(self, path: str) -> ImageLink:
        if self.elsewhere.by_name or not self.images.images or is_url(path):
            return self.elsewhere.resolve(path)
        shown = excerpt(path) if path else "nothing"
        raise FormatError(
            f"expected the name of an image in the archive, found {shown}: pack the images together with the annotations"
        )


def _is_elsewhere(path: str) -> bool:
    return is_url(path) or ":" in path[:8] or path.startswith(("/", "\\"))


def _readings(path: str) -> Iterator[Parts]:
    """Yield the parts of what a path or URL may stand for."""
    of_url, of_name = name_readings.of_url, name_readings.of_name
    for reading in map(_path_of, of_url(path)) if is_url(path) else of_name(path.replace("\\", "/")):
        yield tuple(part for part in PurePosixPath(unquote(reading)).parts if part not in ("/", ".")) or ("",)


def _in_code_pages(parts: Parts) -> Iterator[Parts]:
    """Yield how a name looks that an older tool wrote in the encoding of its country, which no archive tells."""
    if any(not part.isascii() for part in parts):
        for encoding in CODE_PAGES:
            with contextlib.suppress(UnicodeError):
                yield tuple(part.encode(encoding).decode(OTHER_NAMES) for part in parts)


def _path_of(url: str) -> str:
    return urlsplit(url).path


def _place(parts: Parts, near: File) -> Parts:
    """Return the path in the archive of a path relative to the folder of `near`."""
    place = list(near.parts[:-1])
    for part in parts:
        if part != "..":
            place.append(part)
        elif place:
            place.pop()
    return tuple(place)


def _nearest(found: Sequence[File], place: Parts, near: File, subset: str = "") -> File:
    """Return the image whose path shares most with `place` and with that of the annotation file."""
    if len(found) == 1:
        return found[0]
    words = frozenset(map(key, (subset, *near.stem.split("_")))) - {""}  # instances_train.json: the folder train
    name, up = unicodedata.normalize("NFC", place[-1]), tuple(map(key, reversed(place[:-1])))

    def score(image: File) -> tuple[bool, int]:
        folders, in_same_case = image.keys[:-1], image.normal_name.startswith(name)
        shared = common(folders[::-1], up) + common(folders, near.keys[:-1])
        return in_same_case, 2 * shared + (not words.isdisjoint(folders))

    scores = list(map(score, found))
    best = max(scores)
    candidates = [image for image, its in zip(found, scores, strict=True) if its == best]
    if len(candidates) > 1:
        names = " and ".join(excerpt(image.name) for image in candidates[:3])
        raise FormatError(f"expected one image {excerpt(place[-1])} in the archive, found {names}")
    return candidates[0]
