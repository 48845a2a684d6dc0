"""Label Studio's JSON: tasks with their annotations, or JSON-MIN, which has an entry for each annotation.

Coordinates are in percent of the image as it is shown, whatever `image_rotation` says: it only turned the view. A rectangle is rotated
around its first corner. Of several annotations of a task the first that was not skipped counts, or the one marked as ground truth. A region
without a label has the class that was chosen for it (`perRegion`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vott_guard.urls import is_url
from vott_trainer.annotations import json_file, label_studio_shapes, name_readings, outlines
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.label_studio_images import LabelStudioImages
from vott_trainer.annotations.model import Box, Entries, FormatError, ImageLink, LeftOutError, Note, Row, Size
from vott_trainer.annotations.values import excerpt, label_of_json, size

ANNOTATIONS = ("annotations", "completions")  # the latter before Label Studio 1.0
OF_MIN = ("annotation_id", "annotator", "lead_time")  # fields of an entry of JSON-MIN
IMAGES = ("image", "img", "photo", "picture", "url", "image_url")  # usual names of the image in a task's data
FRACTIONS = 0.0101  # where all regions end: they are written in fractions instead of percent
CHOICE = (
    "choice",
    "choices",
    "class",
    "classification",
    "category",
    "label",
)  # usual names of an image's class in JSON-MIN


class _Result(NamedTuple):
    """A region or a class; `key` is that of the region."""

    value: dict[str, Any]
    size: Size | None = None
    key: Any = None


class _Task(NamedTuple):
    """A task with the results of the annotation that counts; None if there is none."""

    place: str
    data: dict[str, Any]
    results: list[_Result] | None


@dataclass
class _Counts:
    """What the report says about the whole file, and the classes of images."""

    unfinished: int = 0
    several: int = 0
    regions: int = 0
    rotated: int = 0
    farthest: float = 0.0
    classes: list[tuple[str, Row | FormatError]] = field(default_factory=list)

    def add(self, box: Box, *, rotated: bool) -> None:
        self.regions += 1
        self.rotated += rotated
        self.farthest = max(self.farthest, box.x + box.width, box.y + box.height)

    def notes(self) -> Iterator[str]:
        if self.unfinished:
            yield f"tasks without a finished annotation (predictions and skipped ones do not count) are left out: {self.unfinished:,}"
        if self.several:
            yield f"of tasks that were annotated again, the first annotation counts, or the one marked as ground truth: {self.several:,}"
        if self.rotated:
            yield outlines.upright_note("regions", self.rotated, self.regions)


def is_label_studio(document: Any) -> bool:
    """Whether a JSON document is Label Studio's."""
    return any(_is_task(task) or _is_min(task) for task in json_file.records(document))


def entries(document: Any, urls: ImageUrls) -> Entries:
    """Yield the row or error of each task and each region; the classes of images only if no image has a region; notes last.

    Raises:
        FormatError: the document has no tasks, or regions in fractions.
    """
    if not isinstance(document, list | dict):
        raise FormatError("expected a list of tasks, as Label Studio exports it")
    counts = _Counts()
    tasks = list(_tasks(json_file.records(document), counts))
    images = LabelStudioImages(filter(None, (_path(task.data) for task in tasks)), urls)
    for task in tasks:
        if task.results is None:
            counts.unfinished += 1
            continue
        try:
            link = _link(task.data, images)
        except FormatError as error:
            yield task.place, error
        else:
            yield task.place, Row(link, size=next((result.size for result in task.results if result.size), None))
            yield from _regions(task, task.results, link, counts)
    if 0 < counts.farthest <= FRACTIONS:
        raise FormatError(
            "expected percent of the image, from 0 to 100, found numbers from 0 to 1: multiply them by 100"
        )
    for place, row in counts.classes:
        yield (
            place,
            LeftOutError("the class of an image is used only if no image has regions") if counts.regions else row,
        )
    yield from (("", Note(text)) for text in counts.notes())


def _is_task(task: Any) -> bool:
    is_task = isinstance(task, dict) and isinstance(task.get("data"), dict)
    return is_task and any(name in task for name in (*ANNOTATIONS, "predictions"))


def _is_min(task: Any) -> bool:
    return isinstance(task, dict) and "id" in task and any(name in task for name in OF_MIN)


def _tasks(document: list[dict[str, Any]], counts: _Counts) -> Iterator[_Task]:
    seen = set[str]()
    for count, task in enumerate(document, start=1):
        place = f"task {excerpt(task.get('id', count))}"
        if _is_min(task) and not _is_task(task):
            if place in seen:
                counts.several += 1
            else:
                yield _Task(place, task, list(_results_of_min(task)))
        else:
            data = task.get("data")
            yield _Task(place, data if isinstance(data, dict) else {}, _results(task, counts))
        seen.add(place)


def _results(task: dict[str, Any], counts: _Counts) -> list[_Result] | None:
    made = [
        made for name in ANNOTATIONS if isinstance(listed := task.get(name), list) for made in json_file.records(listed)
    ]
    made = [annotation for annotation in made if annotation and not annotation.get("was_cancelled")]
    if not made:
        return None
    counts.several += len(made) > 1
    results = next((annotation for annotation in made if annotation.get("ground_truth")), made[0]).get("result")
    listed = json_file.records(results) if isinstance(results, list) else []
    return [
        _Result(item["value"], _size(item), item.get("id")) for item in listed if isinstance(item.get("value"), dict)
    ]


def _results_of_min(entry: dict[str, Any]) -> Iterator[_Result]:
    for name, found in entry.items():
        if isinstance(found, list):
            yield from (_Result(value, _size(value)) for value in json_file.records(found) if value)
        elif isinstance(found, dict):
            yield _Result(found)
        elif isinstance(found, str) and name.lower() in CHOICE:
            yield _Result({"choices": [found]})


def _size(item: dict[str, Any]) -> Size | None:
    return size(item.get("original_width"), item.get("original_height"))


def _path(data: dict[str, Any]) -> str:
    """Return the image of a task; empty if there is none."""
    texts = {name: value for name, value in data.items() if isinstance(value, str)}
    usual = [texts[name] for name in IMAGES if texts.get(name)]
    named = [value for value in texts.values() if name_readings.is_image_name(value)]
    return next(iter([*usual, *named, *filter(is_url, texts.values())]), "")


def _link(data: dict[str, Any], images: LabelStudioImages) -> ImageLink:
    path = _path(data)
    if not path and any(isinstance(data.get(name), list) for name in (*IMAGES, *(f"{name}s" for name in IMAGES))):
        raise FormatError("expected one image in a task, found a list: import each image as a task of its own")
    return images.link(path)


def _regions(task: _Task, results: list[_Result], link: ImageLink, counts: _Counts) -> Entries:
    labelled, chosen = (
        {str(result.key) for result in results if names_of(result.value)} for names_of in (_names, _choices)
    )
    for count, result in enumerate(results, start=1):
        names, choices, key = _names(result.value), _choices(result.value), str(result.key)
        if not names and not label_studio_shapes.is_region(result.value):
            counts.classes += [(task.place, _class_of_image(link, name)) for name in choices]
            continue
        if not names and key not in labelled:
            names = choices
        if names or key not in labelled | chosen:  # else it says more about a region that has a class
            place = f"region {count} of {task.place}"
            try:
                classes = dict.fromkeys(map(label_of_json, names or [None]))
                boxes = [label_studio_shapes.box_of(result.value, name, result.size) for name in classes]
            except FormatError as error:
                yield place, error
            else:
                counts.add(boxes[0], rotated=bool(result.value.get("rotation")))
                yield from ((place, Row(link, box)) for box in boxes)


def _class_of_image(link: ImageLink, name: Any) -> Row | FormatError:
    try:
        return Row(link, label=label_of_json(name))
    except FormatError as error:
        return error


def _names(value: dict[str, Any]) -> list[Any]:
    """Return the classes of a region: the values of `rectanglelabels`, `polygonlabels` and so on."""
    found = next((names for name, names in value.items() if name.endswith("labels") and isinstance(names, list)), [])
    return list(found)


def _choices(value: dict[str, Any]) -> list[Any]:
    choices = value.get("choices")
    return choices if isinstance(choices, list) else []
