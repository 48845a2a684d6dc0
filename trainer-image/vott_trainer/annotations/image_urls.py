"""Links to the images, from the names and paths in an annotation file and the parameter `imagesUrl`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

from vott_guard.urls import HTTP_OR_S3, URLError, check_folder, is_url
from vott_trainer.annotations import name_readings
from vott_trainer.annotations.limits import MAX_URL_LENGTH
from vott_trainer.annotations.model import FormatError, ImageLink
from vott_trainer.annotations.values import excerpt, is_single_line
from vott_trainer.http.urls import unsigned_url

_LOCAL = re.compile(r"(?:file:)?[\\/]*(?:[A-Za-z]:[\\/])|file:[\\/]*|[\\/]+", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"(?!https?:)[A-Za-z][A-Za-z0-9+.-]+://", re.IGNORECASE)
_NO_NAME = re.compile(r"(?:https?|data|blob|about|javascript|mailto):", re.IGNORECASE)
_NEVER_IN_NAMES = re.compile(r"[<>\"|*]")
_RARE_IN_NAMES = re.compile(r"[{}\[\]]")  # in a text that is no name more often than in a name
_SLASH = re.compile("%2f", re.IGNORECASE)  # Azure's tools write a blob's path as one segment


@dataclass(frozen=True, slots=True)
class ImageUrls:
    """The base of relative paths: a folder, and the query that permits reading it.

    With `by_name`, an image elsewhere (on the annotator's computer, behind a link that may have expired) is looked up in the folder by its name.
    """

    folder: str = ""
    query: str = ""
    by_name: bool = False

    @classmethod
    def of(cls, annotations_url: str | None, images_url: str | None) -> Self:
        """Resolve relative paths from the folder of `annotations_url`, or from `images_url` (which may itself be relative).

        The query is a credential: it stays with the scheme, host and port of `annotations_url`.
        """
        source = urlsplit(annotations_url or "")
        base = source._replace(path=_SLASH.sub("/", source.path)).geturl()
        images = quote(images_url.rstrip("/") + "/", safe=":/%[]@!$&'()*+,;=~") if images_url else "."
        folder = urljoin(base, images)
        if not is_url(folder):
            return cls()
        same_origin = (source.scheme, source.netloc) == urlsplit(folder)[:2]
        return cls(urljoin(folder, "."), source.query if same_origin else "", by_name=bool(images_url))

    def resolve(self, path: str) -> ImageLink:
        """Return the link to an image.

        Raises:
            FormatError: `path` is neither an http(s) URL nor a path relative to the folder.
        """
        path = path.strip()
        if not path or len(path) > MAX_URL_LENGTH or not is_single_line(path):
            raise FormatError(f"expected the URL of an image, found {excerpt(path) if path else 'nothing'}")
        if is_url(path):
            return self._absolute(path)
        if local := _LOCAL.match(path):
            return self._elsewhere(path, path[local.end() :])
        if self.by_name and (scheme := _OTHER_SCHEME.match(path)):
            return ImageLink(path=path[scheme.end() :])
        if is_url(path, HTTP_OR_S3):
            return ImageLink(tuple(name_readings.of_url(path)))
        if not self.folder or _OTHER_SCHEME.match(path) or not _is_name(path):
            remedy = (
                ": set the parameter imagesUrl to the URL of the folder with the images"
                if _OTHER_SCHEME.match(path)
                else ""
            )
            raise FormatError(f"expected url to start with http:// or https://, found {excerpt(path)}{remedy}")
        return ImageLink(tuple(self.below(path.replace("\\", "/"))))

    def resolve_beside(self, path: str) -> ImageLink:
        """Return the link to the only image of an annotation file; where the file lies in an archive, the image beside it.

        Raises:
            FormatError: as `resolve`.
        """
        return self.resolve(path)

    def resolve_in(self, _subset: str, path: str) -> ImageLink:
        """Return the link to an image of a subset; where the annotations lie in an archive, it may have a folder of that name.

        Raises:
            FormatError: as `resolve`.
        """
        return self.resolve(path)

    def below(self, name: str) -> Iterable[str]:
        """Return the URLs that a name relative to the folder may stand for, the likeliest first."""
        query = f"?{self.query}" if self.query else ""
        return (urljoin(self.folder, f"./{reading}") + query for reading in name_readings.of_name(name))

    def _absolute(self, url: str) -> ImageLink:
        readings = self._with_own_query(name_readings.of_url(url))
        if not self.by_name:
            return ImageLink(tuple(readings))
        parts, folder = urlsplit(readings[0]), urlsplit(self.folder)
        path = _SLASH.sub("/", parts.path)
        if parts[:2] == folder[:2] and path.startswith(folder.path):
            return ImageLink((*self.below(path.removeprefix(folder.path)), *readings))
        return ImageLink(tuple(readings), path=parts.netloc + parts.path)

    def _with_own_query(self, readings: list[str]) -> list[str]:
        """Add the URLs that are read as the annotations are, on the same server: a link's SAS may have expired, or be missing."""
        if urlsplit(readings[0])[:2] != urlsplit(self.folder)[:2]:
            return readings
        query = f"?{self.query}" if self.query else ""
        plain = [unsigned for url in readings if "?" not in (unsigned := unsigned_url(url))]
        return list(dict.fromkeys([*readings, *(url + query for url in plain)]))

    def _elsewhere(self, path: str, below_root: str) -> ImageLink:
        if not self.by_name:
            raise FormatError(
                f"{excerpt(path)} is a path on the annotator's computer: upload the images, "
                "and set the parameter imagesUrl to their folder"
            )
        normalized = below_root.replace("\\", "/")
        if not normalized or normalized.endswith("/"):
            raise FormatError(f"expected the path of an image, found {excerpt(path)}")
        return ImageLink(path=normalized)


def _is_name(text: str) -> bool:
    if _NO_NAME.match(text) or _NEVER_IN_NAMES.search(text):
        return False
    return not _RARE_IN_NAMES.search(text) or name_readings.is_image_name(text)


def is_folder(url: str) -> bool:
    """Whether `url` names a folder without a credential: an http(s) URL, or a path relative to one."""
    try:
        check_folder(url)
    except URLError:
        return False
    return True
