"""Where the images lie: from what an annotation file calls them to URLs."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

from vott_trainer.annotations.model import Fault
from vott_trainer.annotations.values import excerpt, is_text
from vott_trainer.http.urls import is_http

LONGEST = 4096  # characters
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_LOCAL = re.compile(r"file:|[A-Za-z]:[\\/]|[\\/]", re.IGNORECASE)
_NO_PATH = re.compile(r"[<>\"|{}\[\]*]")
_NOT_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Links:
    """The folder that relative paths begin from, and the query that lets its files be read.

    `by_name` says that paths of the computer where the images were annotated are looked up there, by their last part.
    """

    folder: str = ""
    query: str = ""
    by_name: bool = False

    @classmethod
    def of(cls, annotations_url: str | None, images_url: str | None) -> Self:
        """Return the links of a file at `annotations_url`: its own folder and query, or `images_url` (which may be relative).

        The query goes nowhere but to the scheme, host and port that it came with: it is a credential.
        """
        base = annotations_url or ""
        folder = urljoin(base, images_url.rstrip("/") + "/" if images_url else ".")
        if not is_http(folder):
            return cls()
        own = urlsplit(base)
        permitted = (own.scheme, own.netloc) == urlsplit(folder)[:2]
        return cls(urljoin(folder, "."), own.query if permitted else "", by_name=bool(images_url))

    def resolve(self, path: str) -> str:
        """Return the URL of an image.

        Raises:
            Fault: it is neither a http(s) URL nor a path from the folder of the images.
        """
        path = path.strip()
        if not path or len(path) > LONGEST or not is_text(path):
            raise Fault(f"expected the URL of an image, found {excerpt(path) if path else 'nothing'}")
        if is_http(path):
            return path
        return self._below(self._relative(path))

    def _relative(self, path: str) -> str:
        if _LOCAL.match(path):
            return self._name(path)
        if not self.folder or _SCHEME.match(path) or _NO_PATH.search(path):
            raise Fault(f"expected url to begin with http:// or https://, found {excerpt(path)}")
        return path.replace("\\", "/")

    def _name(self, path: str) -> str:
        if not self.by_name:
            raise Fault(
                f"{excerpt(path)} lies on the computer where the images were annotated: upload them, "
                "and set the parameter imagesUrl to the folder that they lie in"
            )
        if not (name := re.split(r"[\\/]", path)[-1]):
            raise Fault(f"expected the path of an image, found {excerpt(path)}")
        return name

    def _below(self, path: str) -> str:
        """Join, percent-encoded where it is not yet (VoTT's exports know both)."""
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
    return is_http(parts.geturl()) and "@" not in parts.netloc
