"""URLs of the images, from the names and paths in an annotation file and the parameter `imagesUrl`."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

from vott_guard.urls import is_url
from vott_trainer.annotations.limits import MAX_URL_LENGTH
from vott_trainer.annotations.model import FormatError
from vott_trainer.annotations.values import excerpt, is_single_line

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_LOCAL = re.compile(r"file:|[A-Za-z]:[\\/]|[\\/]", re.IGNORECASE)
_NOT_IN_PATHS = re.compile(r"[<>\"|{}\[\]*]")
_NOT_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class ImageUrls:
    """The base of relative paths: a folder, and the query that permits reading it.

    With `by_name`, a path on the annotator's computer is looked up in the folder by its last part.
    """

    folder: str = ""
    query: str = ""
    by_name: bool = False

    @classmethod
    def of(cls, annotations_url: str | None, images_url: str | None) -> Self:
        """Resolve relative paths from the folder of `annotations_url`, or from `images_url` (which may itself be relative).

        The query is a credential: it stays with the scheme, host and port of `annotations_url`.
        """
        base = annotations_url or ""
        folder = urljoin(base, images_url.rstrip("/") + "/" if images_url else ".")
        if not is_url(folder):
            return cls()
        source = urlsplit(base)
        same_origin = (source.scheme, source.netloc) == urlsplit(folder)[:2]
        return cls(urljoin(folder, "."), source.query if same_origin else "", by_name=bool(images_url))

    def resolve(self, path: str) -> str:
        """Return the URL of an image.

        Raises:
            FormatError: `path` is neither an http(s) URL nor a path relative to the folder.
        """
        path = path.strip()
        if not path or len(path) > MAX_URL_LENGTH or not is_single_line(path):
            raise FormatError(f"expected the URL of an image, found {excerpt(path) if path else 'nothing'}")
        if is_url(path):
            return path
        return self._below(self._relative(path))

    def _relative(self, path: str) -> str:
        if _LOCAL.match(path):
            return self._name(path)
        if not self.folder or _SCHEME.match(path) or _NOT_IN_PATHS.search(path):
            raise FormatError(f"expected url to start with http:// or https://, found {excerpt(path)}")
        return path.replace("\\", "/")

    def _name(self, path: str) -> str:
        if not self.by_name:
            raise FormatError(
                f"{excerpt(path)} is a path on the annotator's computer: upload the images, "
                "and set the parameter imagesUrl to their folder"
            )
        if not (name := re.split(r"[\\/]", path)[-1]):
            raise FormatError(f"expected the path of an image, found {excerpt(path)}")
        return name

    def _below(self, path: str) -> str:
        """Join with the folder; percent-encode unless encoded already (VoTT exports both)."""
        encoded = quote(path, safe="/" if _NOT_ENCODED.search(path) else "/%")
        return urljoin(self.folder, encoded) + (f"?{self.query}" if self.query else "")


def is_folder(url: str) -> bool:
    """Whether `url` names a folder without a credential: an http(s) URL, or a path relative to one."""
    if "?" in url or "#" in url or "\\" in url or not url.strip():
        return False
    try:
        parts = urlsplit(urljoin("http://base/folder/", url))
    except ValueError:
        return False
    return is_url(parts.geturl()) and "@" not in parts.netloc
