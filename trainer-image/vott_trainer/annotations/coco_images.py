"""The image of a COCO record: `file_name` below the annotations or `imagesUrl`, or a full URL, which may be that of somebody else's server."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from vott_guard.urls import is_url
from vott_trainer.annotations import azure_ml, json_file
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.label_studio_images import LabelStudioImages
from vott_trainer.annotations.model import FormatError, ImageLink

FULL = ("coco_url", "absolute_url", "url")  # the second is Azure's


class CocoImages:
    """Finds the images of a file.

    Args:
        records: of all images.
    """

    def __init__(self, records: Iterable[Any], urls: ImageUrls) -> None:
        names = (record.get("file_name") for record in records if isinstance(record, dict))
        self._urls = urls
        self._named = LabelStudioImages((name for name in names if isinstance(name, str)), urls)

    def link(self, record: dict[str, Any]) -> ImageLink:
        """Return the link to an image: full URLs come first only on the server of the annotations.

        Raises:
            FormatError: it has neither a name nor a URL, or the name is no path.
        """
        texts = [text for field in FULL if isinstance(text := record.get(field), str)]
        full = [text for text in texts if self._is_full(text)]
        if not isinstance(record.get("file_name"), str) and full:
            return azure_ml.link_to(full[0], self._urls)
        name = json_file.member(record, "file_name", str, "the path or URL of the image")
        try:
            own = self._named.link(name)
        except FormatError:
            if not full:
                raise
            own = ImageLink()
        first = [url for url in full if not self._urls.by_name and self._is_of_server(url)]
        others = [url for url in full if url not in first]
        tried = [*self._links(first), own, *self._links(others)]
        return ImageLink(tuple(dict.fromkeys(url for link in tried for url in link.urls)), own.path)

    def _is_full(self, text: str) -> bool:
        return is_url(text) or (self._urls.by_name and azure_ml.is_in_datastore(text))

    def _is_of_server(self, url: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self._urls.folder)[:2]

    def _links(self, full: Iterable[str]) -> Iterator[ImageLink]:
        """Yield the links that can be used: they only stand in for the name."""
        for url in full:
            with contextlib.suppress(FormatError):
                yield azure_ml.link_to(url, self._urls)
