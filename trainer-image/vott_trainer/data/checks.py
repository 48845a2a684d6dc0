"""What is wrong with the data although each file is sound: looked for before a GPU second is spent, mended or left out, and told.

In this order: pictures of another size than annotated, boxes that do not fit their picture or are there twice, the same picture
under several URLs, classes with too few examples. docs/annotations.md tells it to people.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

from vott_trainer.annotations import Box
from vott_trainer.annotations.findings import Finding, Findings
from vott_trainer.data.images import size_of
from vott_trainer.errors import BadAnnotationsError
from vott_trainer.http.urls import redact_url
from vott_trainer.plugin_api import LabelledImage

SMALLEST_SIDE = 1.0  # pixels that must remain of a box inside its image
EPSILON = 1e-6  # pixels: what sums of floating-point numbers may be wrong by
ROUNDING = 1.0  # pixels by which a box may stick out unmentioned
FAR = 0.1  # of the image's side: a box that sticks out farther was hardly drawn on this image
MOST_FAR = 0.5  # of all boxes; more were drawn on other images, or read in the wrong dialect
MOST_FAR_OF_CORNERS = 0.1  # where every box could as well be two corners
SAME_SHAPE = 0.01  # by which the ratios of width to height may differ
WORKERS = 8
AHEAD = 1000  # images whose sizes are looked for meanwhile

Size = tuple[float, float]


def clean(
    images: Sequence[LabelledImage], sizes: Mapping[str, Size] | None = None
) -> tuple[list[LabelledImage], list[Finding]]:
    """Return the images as they can be learned from, in the same order, and what was found.

    Args:
        sizes: width and height by URL, where the annotations say them.

    Raises:
        BadAnnotationsError: many boxes do not fit their images, or most are no pixels; names the first of them.
    """
    said, cleaning = sizes or {}, _Cleaning()
    with ThreadPoolExecutor(WORKERS, "hygiene") as pool:
        pairs = zip(images, _sizes(pool, images), strict=True)
        fitted = [fit for image, size in pairs if (fit := cleaning.fit(image, size, said.get(image.url)))]
    cleaning.check_boxes()
    cleaned = cleaning.merge(fitted)
    cleaning.count(images, cleaned)
    return cleaned, cleaning.findings.listed()


def _sizes(pool: ThreadPoolExecutor, images: Sequence[LabelledImage]) -> Iterator[Size]:
    """Yield the images' sizes; millions of images do not wait all at once."""
    for start in range(0, len(images), AHEAD):
        yield from pool.map(lambda image: size_of(image.path), images[start : start + AHEAD])


def labels_of(images: Iterable[LabelledImage]) -> list[str]:
    """Return the classes of which there is something to learn from, sorted."""
    return sorted(_examples(images))


@dataclass
class _Cleaning:
    """What was found so far.

    `far` are the boxes that were hardly drawn on their image, `shares` those that look like fractions of their image's sides;
    `corners` says whether each box, read as two corners, were one as well.
    """

    findings: Findings = field(default_factory=Findings)
    boxes: int = 0
    far: Findings = field(default_factory=Findings)
    shares: Findings = field(default_factory=Findings)
    corners: bool = True

    def fit(self, image: LabelledImage, size: Size, said: Size | None) -> LabelledImage | None:
        """Return the image with the boxes that fit it; None where it is not the one that was annotated."""
        where, boxes = redact_url(image.url), list(dict.fromkeys(image.boxes))
        if twice := len(image.boxes) - len(boxes):
            self.findings.add(Finding("duplicate", where, f"{_boxes(twice)} there more than once, counted once"))
        self._look(boxes, where)
        if said and boxes and said != size:
            scale = _scale(size, said)
            self.findings.add(Finding("image", where, _other_size(size, said, mended=scale is not None)))
            if scale is None:
                return None
            boxes = [_scaled(box, scale) for box in boxes]
        return replace(image, boxes=[fit for box in boxes if (fit := self._box(box, size, where))])

    def _look(self, boxes: Sequence[Box], where: str) -> None:
        """Remember what tells the dialect, before boxes are scaled."""
        self.boxes += len(boxes)
        self.corners = self.corners and all(box.width > box.x and box.height > box.y for box in boxes)
        for box in filter(_is_share, boxes):
            self.shares.add(Finding("box", where, _place(box)))

    def _box(self, box: Box, size: Size, where: str) -> Box | None:
        fit = _clipped(box, size)
        left_out = min(fit.width, fit.height) < SMALLEST_SIDE - EPSILON
        beyond = [box.width - fit.width, box.height - fit.height]
        if left_out or max(beyond) > ROUNDING:
            finding = Finding("box", where, _sentence(box, size, left_out=left_out))
            self.findings.add(finding)
            if any(part > FAR * side for part, side in zip(beyond, size, strict=True)):
                self.far.add(finding)
        return None if left_out else fit

    def check_boxes(self) -> None:
        """Refuse annotations that are no pixels, belong to other images, or were read in the wrong dialect."""
        if 2 * len(self.shares) > self.boxes:
            raise BadAnnotationsError(
                f"{len(self.shares)} of {self.boxes} boxes are smaller than a pixel: {_first(self.shares)}. They look like fractions of "
                "their images; multiply x and width by the image's width, y and height by its height, and send the message again."
            )
        if len(self.far) > max(1, self.boxes * (MOST_FAR_OF_CORNERS if self.corners else MOST_FAR)):
            raise BadAnnotationsError(
                f"{len(self.far)} of {self.boxes} boxes do not fit their images: {_first(self.far)}. Check that these are the images "
                "that were annotated, and whether the parameter annotationFormat must be corners (url,x1,y1,x2,y2,class)."
            )

    def merge(self, images: Sequence[LabelledImage]) -> list[LabelledImage]:
        """Make one of the images that are the same file: one in training and one held out would flatter the model."""
        merged = {image.url: image for image in images}
        for first, *others in _same_files(images):
            for other in others:
                one = merged[first.url]
                what = f"the same picture as {redact_url(first.url)}, with which it is counted as one"
                if one.label and other.label and one.label != other.label:
                    what += f"; there it is {one.label}, here {other.label}: the former counts"
                self.findings.add(Finding("duplicate", redact_url(other.url), what))
                boxes = list(dict.fromkeys([*one.boxes, *other.boxes]))
                merged[first.url] = replace(one, boxes=boxes, label=one.label or other.label)
                del merged[other.url]
        return list(merged.values())

    def count(self, before: Iterable[LabelledImage], after: Iterable[LabelledImage]) -> None:
        """Tell of the classes that can't be learned."""
        left = _examples(after)
        for label in sorted(_examples(before)):
            if left[label] == 0:
                self.findings.add(Finding("class", label, "no example is left that can be used: not learned"))
            elif left[label] == 1:
                what = "has one example only: too few to learn it and to measure it, annotate more"
                self.findings.add(Finding("class", label, what))


def _examples(images: Iterable[LabelledImage]) -> Counter[str]:
    examples: Counter[str] = Counter()
    for image in images:
        examples.update(box.label for box in image.boxes)
        examples.update([image.label] if image.label else [])
    return examples


def _same_files(images: Iterable[LabelledImage]) -> Iterator[list[LabelledImage]]:
    """Yield the groups of images whose bytes are the same; only files of the same length are read."""
    by_length: defaultdict[int, list[LabelledImage]] = defaultdict(list)
    for image in images:
        by_length[image.path.stat().st_size].append(image)
    by_content: defaultdict[str, list[LabelledImage]] = defaultdict(list)
    for image in (image for group in by_length.values() if len(group) > 1 for image in group):
        with image.path.open("rb") as file:
            by_content[hashlib.file_digest(file, "sha256").hexdigest()].append(image)
    yield from (group for group in by_content.values() if len(group) > 1)


def _scale(size: Size, said: Size) -> tuple[float, float] | None:
    """Return by what to multiply coordinates on an image of size `said`; None where this is no scaled copy of it."""
    x, y = size[0] / said[0], size[1] / said[1]
    # Rounding to whole pixels alone changes the ratio of a small image.
    return (x, y) if abs(x / y - 1) <= max(SAME_SHAPE, 1 / min(*size, *said)) else None


def _scaled(box: Box, scale: tuple[float, float]) -> Box:
    x, y = scale
    return Box(box.x * x, box.y * y, box.width * x, box.height * y, box.label)


def _clipped(box: Box, size: Size) -> Box:
    """Return what of a box lies inside; its sides may be zero or negative."""
    left, top = max(0.0, box.x), max(0.0, box.y)
    right, bottom = min(size[0], box.x + box.width), min(size[1], box.y + box.height)
    return Box(left, top, right - left, bottom - top, box.label)


def _is_share(box: Box) -> bool:
    """Return whether a box can hardly be in pixels; as a fraction of its image's sides it may be as large as 1 x 1."""
    return max(box.width, box.height) < SMALLEST_SIDE or max(box.x, box.y, box.width, box.height) <= 1


def _sentence(box: Box, size: Size, *, left_out: bool) -> str:
    place, image = _place(box), f"the image of {size[0]:g} x {size[1]:g}"
    if min(box.width, box.height) <= 0:
        return f"{place} has no area: left out"
    if min(box.width, box.height) < SMALLEST_SIDE:
        return f"{place} is smaller than a pixel: left out"
    return (
        f"{place} lies outside of {image}: left out" if left_out else f"{place} reaches beyond {image}: cut off there"
    )


def _place(box: Box) -> str:
    return f"box of {box.label} at x {box.x:g}, y {box.y:g}, {box.width:g} x {box.height:g} pixels"


def _first(findings: Findings) -> str:
    return "; ".join(f"{finding.where}: {finding.what}" for finding in islice(findings.listed(), 3))


def _other_size(size: Size, said: Size, *, mended: bool) -> str:
    sizes = f"the annotations say {said[0]:g} x {said[1]:g} pixels, the image has {size[0]:g} x {size[1]:g}"
    if mended:
        return f"{sizes}: its boxes are scaled"
    turned = "annotated without its EXIF rotation" if said == size[::-1] else "another shape"
    return f"{sizes}, {turned}: left out"


def _boxes(count: int) -> str:
    return "one box is" if count == 1 else f"{count} boxes are"
