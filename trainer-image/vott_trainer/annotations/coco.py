"""COCO's JSON for object detection: images, categories, and annotations with `bbox`, and `segmentation` as polygons or a run-length mask.

Annotations without any shape in the whole file are classes of images. Groups of objects (`iscrowd`) are not single objects and are left
out, as in COCO's own evaluation; but see `coco_traits`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vott_trainer.annotations import coco_boxes, coco_traits, crowds, json_file
from vott_trainer.annotations.coco_ids import AmbiguousIdError, Ids
from vott_trainer.annotations.coco_images import CocoImages
from vott_trainer.annotations.coco_traits import Traits
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Entries, FormatError, ImageLink, Note, Row, Size
from vott_trainer.annotations.values import excerpt, is_number, label_of_json


def is_coco(document: Any) -> bool:
    """Whether a JSON document is in COCO's format."""
    return (
        isinstance(document, dict) and "images" in document and ("annotations" in document or "categories" in document)
    )


def entries(document: Any, urls: ImageUrls) -> Entries:
    """Yield the row or error of each category, image and annotation; notes first.

    Raises:
        FormatError: one of the three lists is missing, an id is used twice, or there are neither boxes nor classes.
    """
    images, annotations = (json_file.member(document, name, list, "a list") for name in ("images", "annotations"))
    traits = coco_traits.of(annotations)
    categories = _categories(document, annotations)
    yield from (("", Note(note)) for note in traits.notes)
    reader = _Reader(CocoImages(images, urls), traits)
    readers: list[tuple[str, list[Any], Callable[[dict[str, Any]], Row | None]]] = [
        ("category", categories, reader.category),
        ("image", images, reader.image),
        ("annotation", annotations, reader.annotation),
    ]
    for kind, items, read in readers:
        for count, item in enumerate(items, start=1):
            try:
                if row := read(item if isinstance(item, dict) else {}):
                    yield _place(kind, item, count), row
            except AmbiguousIdError:
                raise
            except FormatError as error:
                yield _place(kind, item, count), error


def _categories(document: Any, annotations: list[Any]) -> list[Any]:
    """Return the categories; made of the annotations if these name their classes themselves."""
    named = [item.get("category_id") for item in annotations if isinstance(item, dict)]
    if not document.get("categories") and all(isinstance(name, str) and not is_number(name) for name in named):
        return [{"id": name, "name": name} for name in dict.fromkeys(named)]
    return json_file.member(document, "categories", list, "a list")


def _place(kind: str, item: Any, count: int) -> str:
    key = item.get("id") if isinstance(item, dict) else None
    return f"{kind} {excerpt(key)}" if isinstance(key, str | int) else f"{kind} number {count}"


@dataclass(frozen=True, slots=True)
class _Image:
    link: ImageLink
    size: Size | None = field(compare=False)


class _Reader:
    def __init__(self, links: CocoImages, traits: Traits) -> None:
        self._links, self._traits = links, traits
        self._images = Ids[_Image]("image")
        self._categories = Ids[str]("category")
        self._names = set[str]()

    def category(self, item: dict[str, Any]) -> None:
        name = label_of_json(item.get("name"))
        self._categories.add(item.get("id"), name, name)
        self._names.add(name)

    def image(self, item: dict[str, Any]) -> Row:
        image = _Image(self._links.link(item), json_file.size_of(item))
        self._images.add(item.get("id"), image, str(item.get("file_name") or image.link.urls[0]))
        return Row(image.link, size=image.size)

    def annotation(self, item: dict[str, Any]) -> Row:
        image, name = self._image_of(item), self._class_of(item)
        if self._traits.classes_only:
            return Row(image.link, label=name)
        if coco_traits.is_crowd(item) and not self._traits.crowds_are_objects:
            raise crowds.left_out("iscrowd")
        return Row(image.link, coco_boxes.box_of(item, name, self._traits, image.size))

    def _image_of(self, item: dict[str, Any]) -> _Image:
        if not (image := self._images.find(item.get("image_id"))):
            raise FormatError(f"expected image_id to be the id of a usable image, found {excerpt(item['image_id'])}")
        return image

    def _class_of(self, item: dict[str, Any]) -> str:
        """Return the class by its id; some tools write its name instead."""
        if name := self._categories.find(item.get("category_id")):
            return name
        if (name := label_of_json(item["category_id"])) in self._names:
            return name
        raise FormatError(
            f"expected category_id to be the id of a usable category, found {excerpt(item['category_id'])}"
        )
