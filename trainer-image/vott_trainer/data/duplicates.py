"""Removal of duplicate boxes, and merging of identical images under several URLs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from vott_guard.redaction import redact_url
from vott_trainer.annotations.findings import Finding, Findings
from vott_trainer.annotations.model import Box
from vott_trainer.data.file_digest import file_digest
from vott_trainer.plugin_api import LabelledImage


def unique_boxes(image: LabelledImage, findings: Findings) -> list[Box]:
    """Return the image's boxes in their order, each once."""
    boxes = _unique(image.boxes)
    if duplicates := len(image.boxes) - len(boxes):
        plural = "" if duplicates == 1 else "es"
        findings.add(Finding("duplicate", redact_url(image.url), f"{duplicates} duplicate box{plural} removed"))
    return boxes


def merge_identical_images(images: Sequence[LabelledImage], findings: Findings) -> list[LabelledImage]:
    """Merge images with the same bytes: one in training and its copy held out would inflate the metrics."""
    merged = {image.url: image for image in images}
    for first, *others in _identical(images):
        for other in others:
            kept = merged[first.url]
            problem = f"same file as {redact_url(first.url)}: merged with it"
            if kept.label and other.label and kept.label != other.label:
                problem += f"; its class {kept.label} is kept, {other.label} dropped"
            findings.add(Finding("duplicate", redact_url(other.url), problem))
            boxes = _unique([*kept.boxes, *other.boxes])
            merged[first.url] = replace(kept, boxes=boxes, label=kept.label or other.label)
            del merged[other.url]
    return list(merged.values())


def _unique(boxes: Iterable[Box]) -> list[Box]:
    """Keep one of several boxes at the same place with the same class: the first one with an outline, if any has one."""
    unique: dict[Box, Box] = {}
    for box in boxes:
        place = replace(box, outline=None)
        if place not in unique or (box.outline and not unique[place].outline):
            unique[place] = box
    return list(unique.values())


def _identical(images: Iterable[LabelledImage]) -> Iterator[list[LabelledImage]]:
    """Yield groups of images with the same bytes; reads only files of the same length."""
    by_length: defaultdict[int, list[LabelledImage]] = defaultdict(list)
    for image in images:
        by_length[image.path.stat().st_size].append(image)
    by_digest: defaultdict[bytes, list[LabelledImage]] = defaultdict(list)
    for image in (image for group in by_length.values() if len(group) > 1 for image in group):
        by_digest[file_digest(image.path)].append(image)
    yield from (group for group in by_digest.values() if len(group) > 1)
