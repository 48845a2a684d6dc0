"""Images as Label Studio names them: with the paths of its server, in JSON and in its COCO, and with a random number before uploaded names."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import unquote

from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import ImageLink

_LOCAL_FILE = re.compile(r"[^?]*/data/local-files/?\?(?:[^&]*&)*d=([^&]+).*")
_OF_SERVER = re.compile(r"(?:\.\.[\\/])+(?:.*[\\/])?label-studio[\\/].*", re.IGNORECASE)  # of COCO "with images"
_UPLOADED = re.compile(r"(?:.*[\\/])?([0-9a-f]{8}-([^\\/]+))")
FOLDER = "images"  # in the archives that Label Studio exports, beside the annotations


class LabelStudioImages:
    """Finds the images of a file below the annotations or `imagesUrl`.

    Args:
        paths: of all images: the name before the upload is tried where it belongs to one image alone.
    """

    def __init__(self, paths: Iterable[str], urls: ImageUrls) -> None:
        self._urls = urls
        self._uploads = Counter(found[2] for path in set(paths) if (found := _UPLOADED.fullmatch(path)))

    def link(self, path: str) -> ImageLink:
        """Return the link to an image.

        Raises:
            FormatError: as `ImageUrls.resolve`.
        """
        if local := _LOCAL_FILE.fullmatch(path):
            return self._urls.resolve("/" + unquote(local[1]).lstrip("/"))
        uploaded = _UPLOADED.fullmatch(path)
        if _OF_SERVER.fullmatch(path):
            name = re.split(r"[\\/]", path)[-1]
            link = self._urls.resolve(f"/{name}" if self._urls.by_name else f"{FOLDER}/{name}")
        else:
            link = self._urls.resolve(path)
        if not uploaded or not self._urls.folder:
            return link
        names = [uploaded[1]] + ([uploaded[2]] if self._uploads[uploaded[2]] == 1 else [])
        folders = [""] if self._urls.by_name else [f"{FOLDER}/", ""]
        others = [url for name in names for folder in folders for url in self._urls.below(folder + name)]
        return replace(link, urls=tuple(dict.fromkeys([*link.urls, *others])))
