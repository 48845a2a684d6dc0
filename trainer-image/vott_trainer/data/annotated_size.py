"""Boxes annotated in fractions of the image, or on a copy of another size: scaled if the shape is the same, else the image is left out.

Width and height may be swapped in the annotations, but not the boxes: converters do that which take an array's shape for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vott_guard.redaction import redact_url
from vott_trainer.annotations import outlines
from vott_trainer.annotations.findings import Finding, Findings
from vott_trainer.annotations.model import Box, Size
from vott_trainer.data.box_checks import fit
from vott_trainer.plugin_api import LabelledImage

SAME_SHAPE = 0.01  # relative difference of the aspect ratios

Scale = tuple[float, float]


def scale_between(annotated: Size, size: Size) -> Scale | None:
    """Return the factors from `annotated` to `size`; None if the shapes differ."""
    x, y = size[0] / annotated[0], size[1] / annotated[1]
    # Rounding to whole pixels alone changes the aspect ratio of a small image.
    return (x, y) if abs(x / y - 1) <= max(SAME_SHAPE, 1 / min(*size, *annotated)) else None


def in_pixels(box: Box, size: Size) -> Box:
    """Return a box in pixels of an image of `size`."""
    return scaled(replace(box, normalized=False), size) if box.normalized else box


def scaled(box: Box, scale: Scale) -> Box:
    """Multiply all coordinates of a box and its outline."""
    x, y = scale
    outline = outlines.scaled(box.outline, x, y) if box.outline else box.outline
    return replace(box, x=box.x * x, y=box.y * y, width=box.width * x, height=box.height * y, outline=outline)


def without_swapped(
    annotated: Mapping[str, Size], images: Sequence[tuple[LabelledImage, Size]], findings: Findings
) -> Mapping[str, Size]:
    """Return the annotated sizes without those whose sides are swapped while the boxes are right; each is a finding.

    `annotated_orientation` has turned those that an EXIF orientation explains. One program wrote the whole file: all of its sizes stay if more
    images have boxes that fit only the annotated size than boxes that fit only the image.
    """
    swapped = [
        (image, size)
        for image, size in images
        if image.boxes and size[0] != size[1] and annotated.get(image.url) == size[::-1]
    ]
    if sum(fit(image.boxes, size) - fit(image.boxes, size[::-1]) for image, size in swapped) < 0:
        return annotated
    for image, size in swapped:
        what = f"{_sizes(size[::-1], size)}: the annotations swap width and height, its boxes are used as they are"
        findings.add(Finding("image", redact_url(image.url), what))
    urls = {image.url for image, _ in swapped}
    return {url: size for url, size in annotated.items() if url not in urls}


def problem(annotated: Size, size: Size, scale: Scale | None) -> str:
    """Return the finding for an image of another size than annotated."""
    if scale:
        return f"{_sizes(annotated, size)}: its boxes are scaled"
    cause = "turned since then" if annotated == size[::-1] else "another shape"
    return f"{_sizes(annotated, size)}, {cause}: left out"


def _sizes(annotated: Size, size: Size) -> str:
    return f"annotated with {annotated[0]:g} x {annotated[1]:g} pixels, the image has {size[0]:g} x {size[1]:g}"
