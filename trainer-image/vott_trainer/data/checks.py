"""Validate and repair the dataset before training (docs/annotations.md).

In this order: photos annotated without their EXIF orientation, boxes in fractions, images of another size than annotated, boxes beyond their
image, outlines, duplicate boxes and images, classes with too few examples.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from vott_guard.redaction import redact_url
from vott_trainer.annotations.findings import Finding, Findings
from vott_trainer.annotations.model import ExifOrientation, Size
from vott_trainer.data import annotated_size
from vott_trainer.data.annotated_orientation import on_turned_photos
from vott_trainer.data.box_checks import BoxChecks
from vott_trainer.data.duplicates import merge_identical_images, unique_boxes
from vott_trainer.data.exif_rotation import Shown, shown
from vott_trainer.data.outline_checks import OutlineChecks
from vott_trainer.plugin_api import LabelledImage

WORKERS = 8
AHEAD = 1000  # images with pending sizes


def clean(
    images: Sequence[LabelledImage],
    annotated_sizes: Mapping[str, Size] | None = None,
    *,
    exif_orientation: ExifOrientation | None = None,
    outlines: bool = False,
) -> tuple[list[LabelledImage], list[Finding]]:
    """Return the usable images in the same order, repaired, and the findings.

    Args:
        annotated_sizes: width and height by URL, where the annotations have them.
        exif_orientation: how photos were shown when they were annotated; None to find out.
        outlines: whether the training learns outlines; otherwise they are removed.

    Raises:
        BadAnnotationsError: many boxes do not fit their images, or most are fractions; with the first of them.
    """
    findings = Findings()
    checks, outline_checks = BoxChecks(findings), OutlineChecks(findings, used=outlines)
    with ThreadPoolExecutor(WORKERS, "checks") as pool:
        shown_images = list(_shown(pool, images))
    turned, sizes = on_turned_photos(images, shown_images, annotated_sizes or {}, exif_orientation, findings)
    pairs = [(image, one.size) for image, one in zip(turned, shown_images, strict=True)]
    to_fit = annotated_size.without_swapped(sizes, pairs, findings)
    checked = [_checked(image, size, to_fit.get(image.url), checks, outline_checks, findings) for image, size in pairs]
    checks.raise_for_mismatch(exif_orientation)
    outline_checks.summarize()
    cleaned = merge_identical_images([image for image in checked if image], findings)
    _check_classes(images, cleaned, findings)
    return cleaned, findings.listed()


def labels_of(images: Iterable[LabelledImage]) -> list[str]:
    """Return the classes with at least one example, sorted."""
    return sorted(_examples(images))


def _shown(pool: ThreadPoolExecutor, images: Sequence[LabelledImage]) -> Iterator[Shown]:
    """Yield how each image is shown; at most AHEAD are pending, however many images there are."""
    for start in range(0, len(images), AHEAD):
        yield from pool.map(lambda image: shown(image.path), images[start : start + AHEAD])


def _checked(
    image: LabelledImage,
    size: tuple[int, int],
    annotated: Size | None,
    checks: BoxChecks,
    outline_checks: OutlineChecks,
    findings: Findings,
) -> LabelledImage | None:
    """Return the image with usable boxes; None if another image was annotated."""
    where, boxes = redact_url(image.url), unique_boxes(image, findings)
    checks.inspect(boxes, where, annotated or size)
    boxes = [annotated_size.in_pixels(box, annotated or size) for box in boxes]
    if annotated and boxes and annotated != size:
        scale = annotated_size.scale_between(annotated, size)
        findings.add(Finding("image", where, annotated_size.problem(annotated, size, scale)))
        if scale is None:
            checks.other_shape(Finding("image", where, annotated_size.problem(annotated, size, scale)))
            return None
        boxes = [annotated_size.scaled(box, scale) for box in boxes]
    return replace(image, boxes=outline_checks.checked(checks.clipped(boxes, size, where), where), size=size)


def _check_classes(before: Iterable[LabelledImage], after: Iterable[LabelledImage], findings: Findings) -> None:
    """Report classes with too few examples."""
    left = _examples(after)
    for label in sorted(_examples(before)):
        if left[label] == 0:
            findings.add(Finding("class", label, "no usable example is left: not trained"))
        elif left[label] == 1:
            problem = "has only one example, too few to train and to evaluate: annotate more"
            findings.add(Finding("class", label, problem))


def _examples(images: Iterable[LabelledImage]) -> Counter[str]:
    examples: Counter[str] = Counter()
    for image in images:
        examples.update(box.label for box in image.boxes)
        examples.update([image.label] if image.label else [])
    return examples
