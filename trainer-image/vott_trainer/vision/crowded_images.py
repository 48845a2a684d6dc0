"""How many detections on an image a detector has to return, and whether its architecture can."""

from collections.abc import Iterable

from vott_guard.redaction import redact_url
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision.architectures import MIN_DETECTIONS

SPARE = 2  # false detections must not displace correct ones


def detections_needed(images: Iterable[LabelledImage]) -> int:
    """Return twice the number of objects on the densest image, at least MIN_DETECTIONS."""
    return max(MIN_DETECTIONS, SPARE * len(_densest(images).boxes))


def too_many_objects(images: Iterable[LabelledImage], name: str, queries: int | None) -> str:
    """Return a note for the report if an image has more objects than the architecture `name` has queries; else nothing."""
    densest = _densest(images)
    if not queries or len(densest.boxes) <= queries:
        return ""
    return (
        f"{name} finds at most {queries} objects on an image, but {redact_url(densest.url)} has {len(densest.boxes)}. Choose another "
        "architecture, such as fcos_resnet50_fpn, or divide such images into smaller ones."
    )


def _densest(images: Iterable[LabelledImage]) -> LabelledImage:
    return max(images, key=lambda image: len(image.boxes))
