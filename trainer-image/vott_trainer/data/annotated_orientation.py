"""Boxes of photos with an EXIF orientation: drawn on the turned photo, as browsers show it, or on the pixels as they are stored.

VoTT's desktop program shows photos unturned. One program wrote the whole file, so the photos that tell decide for the others: by boxes that
fit only one way, and by the annotated size. Where the two contradict each other, the boxes are right: converters read a photo's size without
its orientation.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vott_trainer.annotations import outlines
from vott_trainer.annotations.findings import Finding, Findings
from vott_trainer.annotations.model import Box, ExifOrientation, Size
from vott_trainer.data.annotated_size import scale_between
from vott_trainer.data.box_checks import ROUNDING, fit
from vott_trainer.data.exif_rotation import Shown
from vott_trainer.data.orientation import NORMAL, turned_point, turned_size
from vott_trainer.plugin_api import LabelledImage

MINORITY = 0.1  # of the photos that tell, which may tell otherwise: annotations have mistakes
FAR = 0.02  # of a side: a box that reaches further beyond it does not fit

Decisions = dict[str, ExifOrientation | None]
"""How each photo was shown when it was annotated, by URL; None where nothing tells."""


@dataclass(frozen=True, slots=True)
class _Photo:
    """A photo with boxes that has an EXIF orientation.

    `stored` is the size of its pixels as they are stored, in the scale of the annotations. `by_size` and `by_boxes` are what these tell.
    """

    orientation: int
    stored: Size
    by_size: ExifOrientation | None
    by_boxes: ExifOrientation | None


def on_turned_photos(
    images: Sequence[LabelledImage],
    shown: Iterable[Shown],
    annotated_sizes: Mapping[str, Size],
    parameter: ExifOrientation | None,
    findings: Findings,
) -> tuple[list[LabelledImage], dict[str, Size]]:
    """Return the images with their boxes as on the turned photos, and the annotated sizes by URL, turned likewise.

    Args:
        parameter: the message's exifOrientation; None to decide from the photos.
    """
    photos: dict[str, _Photo] = {}
    for image, one in zip(images, shown, strict=True):
        if one.orientation != NORMAL and (photo := _photo(image.boxes, one, annotated_sizes.get(image.url))):
            photos[image.url] = photo
    decisions: Decisions = dict.fromkeys(photos, parameter) if parameter else _decided(photos)
    for problem in _problems(photos, decisions, parameter):
        findings.add(Finding("image", "", problem))
    turned = [_turned(image, photos[image.url]) if decisions.get(image.url) == "ignored" else image for image in images]
    sizes = {url: turned_size(photo.stored, photo.orientation) for url, photo in photos.items()}
    return turned, {url: sizes.get(url, size) for url, size in annotated_sizes.items()}


def _photo(boxes: Sequence[Box], shown: Shown, annotated: Size | None) -> _Photo | None:
    """Return what a photo tells; None if it has no boxes, or a picture of another shape was annotated."""
    turned: Size = shown.size
    stored = turned_size(turned, shown.orientation)  # of the turned size: turning swaps the sides back
    if not boxes or (annotated and not any(scale_between(annotated, size) for size in (stored, turned))):
        return None
    by_size = _by_size(annotated, stored, turned) if annotated else None
    if annotated:
        stored = turned_size(annotated, shown.orientation) if by_size == "applied" else annotated
    return _Photo(shown.orientation, stored, by_size, _by_boxes(boxes, stored, turned_size(stored, shown.orientation)))


def _by_size(annotated: Size, stored: Size, turned: Size) -> ExifOrientation | None:
    as_stored, as_turned = annotated == stored, annotated == turned
    if not (as_stored or as_turned):  # a copy of another size
        as_stored, as_turned = (scale_between(annotated, size) is not None for size in (stored, turned))
    if as_stored == as_turned:
        return None
    return "ignored" if as_stored else "applied"


def _by_boxes(boxes: Iterable[Box], stored: Size, turned: Size) -> ExifOrientation | None:
    drawn = [box for box in boxes if not box.normalized]
    if fit(drawn, stored) and _reach_beyond(drawn, turned):
        return "ignored"
    return "applied" if fit(drawn, turned) and _reach_beyond(drawn, stored) else None


def _reach_beyond(boxes: Iterable[Box], size: Size) -> bool:
    right, bottom = (side + max(ROUNDING, side * FAR) for side in size)
    return any(box.x + box.width > right or box.y + box.height > bottom for box in boxes)


def _decided(photos: Mapping[str, _Photo]) -> Decisions:
    votes: defaultdict[ExifOrientation | None, Counter[ExifOrientation | None]] = defaultdict(Counter)
    for photo in photos.values():
        votes[photo.by_size][photo.by_boxes] += 1
    meaning = {by_size: _majority(by_boxes) or by_size for by_size, by_boxes in votes.items() if by_size}
    meanings = set(meaning.values())
    of_others = _majority(votes[None]) or (meanings.pop() if len(meanings) == 1 else None)
    return {
        url: photo.by_boxes or (meaning[photo.by_size] if photo.by_size else of_others) for url, photo in photos.items()
    }


def _majority(votes: Counter[ExifOrientation | None]) -> ExifOrientation | None:
    ignored, applied = votes["ignored"], votes["applied"]
    if min(ignored, applied) > MINORITY * (ignored + applied) or ignored == applied:
        return None
    return "ignored" if ignored > applied else "applied"


def _problems(photos: Mapping[str, _Photo], decisions: Decisions, parameter: ExifOrientation | None) -> Iterator[str]:
    turned = sum(decision == "ignored" for decision in decisions.values())
    in_doubt = sum(decision is None for decision in decisions.values())
    telling = sum((photo.by_boxes or photo.by_size) == "ignored" for photo in photos.values())
    swapped = sum(photo.by_size == "ignored" and decisions[url] == "applied" for url, photo in photos.items())
    if turned and parameter:
        yield f"{_photos(turned)} annotated without the EXIF orientation, as the parameter exifOrientation says: the boxes were turned"
    elif turned:
        yield (
            f"{_photos(turned)} annotated without the EXIF orientation, as {telling} tell by size or boxes: the boxes were turned. If that is wrong, "
            "set the parameter exifOrientation to applied"
        )
    if swapped:
        yield f"{_photos(swapped)} annotated with the size of the stored pixels, but on the turned photo: the boxes are used as they are"
    if in_doubt:
        tell = (
            "the photos that tell contradict each other"
            if any(p.by_boxes or p.by_size for p in photos.values())
            else "nothing tells"
        )
        yield (
            f"{_photos(in_doubt)} with an EXIF orientation, and {tell} whether the boxes were drawn on the turned photos, as browsers show them, or "
            "on the stored pixels, as VoTT's desktop program shows them. They are used as drawn on the turned photos. If they lie beside their "
            "objects, set the parameter exifOrientation to ignored, else to applied"
        )


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count:,} photos"


def _turned(image: LabelledImage, photo: _Photo) -> LabelledImage:
    return replace(image, boxes=[_turned_box(box, photo) for box in image.boxes])


def _turned_box(box: Box, photo: _Photo) -> Box:
    size, orientation = (1.0, 1.0) if box.normalized else photo.stored, photo.orientation
    corners = [(box.x, box.y), (box.x + box.width, box.y + box.height)]
    (x1, y1), (x2, y2) = (turned_point(*corner, size, orientation) for corner in corners)
    outline = box.outline and outlines.mapped(box.outline, lambda x, y: turned_point(x, y, size, orientation))
    return replace(box, x=min(x1, x2), y=min(y1, y2), width=abs(x2 - x1), height=abs(y2 - y1), outline=outline)
