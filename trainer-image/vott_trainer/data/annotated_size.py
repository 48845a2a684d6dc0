"""Boxes annotated on a copy of another size: scaled if the shape is the same, else the image is left out."""

from dataclasses import replace

from vott_trainer.annotations import outlines
from vott_trainer.annotations.model import Box

SAME_SHAPE = 0.01  # relative difference of the aspect ratios

Size = tuple[float, float]
Scale = tuple[float, float]


def scale_between(annotated: Size, size: Size) -> Scale | None:
    """Return the factors from `annotated` to `size`; None if the shapes differ."""
    x, y = size[0] / annotated[0], size[1] / annotated[1]
    # Rounding to whole pixels alone changes the aspect ratio of a small image.
    return (x, y) if abs(x / y - 1) <= max(SAME_SHAPE, 1 / min(*size, *annotated)) else None


def scaled(box: Box, scale: Scale) -> Box:
    """Multiply all coordinates of a box and its outline."""
    x, y = scale
    outline = outlines.scaled(box.outline, x, y) if box.outline else box.outline
    return replace(box, x=box.x * x, y=box.y * y, width=box.width * x, height=box.height * y, outline=outline)


def problem(annotated: Size, size: Size, scale: Scale | None) -> str:
    """Return the finding for an image of another size than annotated."""
    sizes = f"annotated with {annotated[0]:g} x {annotated[1]:g} pixels, the image has {size[0]:g} x {size[1]:g}"
    if scale:
        return f"{sizes}: its boxes are scaled"
    cause = "annotated without its EXIF rotation" if annotated == size[::-1] else "another shape"
    return f"{sizes}, {cause}: left out"
