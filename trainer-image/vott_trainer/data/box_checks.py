"""Clip boxes to their images; detect boxes in fractions or percent, of other images, or in the wrong annotation format."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from vott_trainer.annotations.findings import Finding, Findings
from vott_trainer.annotations.model import Box, Size
from vott_trainer.errors import BadAnnotationsError

MIN_SIDE = 1.0  # pixels of a box inside its image
EPSILON = 1e-6  # pixels: error of floating-point sums
ROUNDING = 1.0  # pixels that a box may extend beyond its image without a finding
FAR = 0.1  # of the image's side: a box that extends further was probably drawn on another image
MAX_FAR = 0.5  # of all boxes; more belong to other images, or to another format
MAX_FAR_OF_CORNERS = 0.1  # where every box could be two corners
MAX_BEYOND_OF_CENTERS = 0.1  # where none extends beyond its image if its first two numbers are its center
MIN_PERCENT_BOXES = 10  # different ones, before they can be percent
MIN_PERCENT_IMAGE = 200  # pixels of the shorter side: smaller images may be full of boxes that end below 100
PERCENT = (90, 101)  # where the boxes farthest right and farthest down end, if they are percent


class BoxChecks:
    """Checks the boxes of all images, and adds to `findings`."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._total = self._images = 0  # boxes, and images that have some
        self._other_shapes = Findings()  # images of another shape than annotated
        self._far = Findings()  # boxes far beyond their image
        self._fractions = Findings()  # boxes that look like fractions of their image's sides
        self._beyond = Findings()  # boxes that extend beyond their image
        self._may_be_corners = True  # while every box is also valid as two corners
        self._may_be_centers = True  # while every box is inside its image if its first two numbers are its center
        self._percent = _PercentCheck()

    def inspect(self, boxes: Sequence[Box], where: str, size: Size) -> None:
        """Collect signs of another format, from boxes as they were annotated on an image of `size`."""
        self._total += len(boxes)
        self._images += bool(boxes)
        self._may_be_corners = self._may_be_corners and all(box.width >= box.x and box.height >= box.y for box in boxes)
        self._percent.inspect(boxes, size, where)
        for box in filter(_is_fraction, boxes):
            self._fractions.add(Finding("box", where, describe(box)))

    def other_shape(self, finding: Finding) -> None:
        """Count an image that is left out because one of another shape was annotated."""
        self._other_shapes.add(finding)

    def clipped(self, boxes: Sequence[Box], size: Size, where: str) -> list[Box]:
        """Return the boxes clipped to their image, without those of which less than a pixel remains."""
        return [inside for box in boxes if (inside := self._clipped(box, size, where))]

    def _clipped(self, box: Box, size: Size, where: str) -> Box | None:
        inside = clip(box, size)
        self._may_be_centers = self._may_be_centers and _is_inside_as_center(box, size)
        left_out = min(inside.width, inside.height) < MIN_SIDE - EPSILON
        beyond = [box.width - inside.width, box.height - inside.height]
        if left_out or max(beyond) > ROUNDING:
            finding = Finding("box", where, _problem(box, size, left_out=left_out))
            self._findings.add(finding)
            if box.x + box.width > size[0] + ROUNDING or box.y + box.height > size[1] + ROUNDING:
                self._beyond.add(finding)
            if any(part > FAR * side for part, side in zip(beyond, size, strict=True)):
                self._far.add(finding)
        return None if left_out else inside

    def raise_for_mismatch(self, exif_orientation: str | None = None) -> None:
        """Refuse annotations in fractions, of other images, or in another format. A few images of another shape are only left out.

        Raises:
            BadAnnotationsError: with the first of these boxes and the remedy.
        """
        if 2 * len(self._fractions) > self._total:
            raise BadAnnotationsError(
                f"{len(self._fractions)} of {self._total} boxes are smaller than a pixel: {_first(self._fractions)}. They look like "
                "fractions of their images; multiply x and width by the image's width, y and height by its height, or name a CSV's "
                "columns xmin,ymin,xmax,ymax if they are corners (xcenter,ycenter,width,height if they begin with the center), and send the "
                "message again."
            )
        self._percent.raise_for_percent()
        are_centers = self._may_be_centers and not self._may_be_corners
        if are_centers and len(self._beyond) > max(1, self._total * MAX_BEYOND_OF_CENTERS):
            raise BadAnnotationsError(
                f"{len(self._beyond)} of {self._total} boxes extend beyond their images: {_first(self._beyond)}. None would if their first two "
                "numbers were their center instead of their upper left corner. Subtract half of the width and height, or name a CSV's columns "
                "xcenter,ycenter,width,height, and send the message again."
            )
        if 2 * len(self._other_shapes) > self._images:
            raise BadAnnotationsError(
                f"{len(self._other_shapes)} of {self._images} images have another shape than annotated: {_first(self._other_shapes)}. "
                "Check that these are the images that were annotated, as they were then, and send the message again."
            )
        orientation = f", or exifOrientation not {exif_orientation}" if exif_orientation else ""
        if len(self._far) > max(1, self._total * (MAX_FAR_OF_CORNERS if self._may_be_corners else MAX_FAR)):
            raise BadAnnotationsError(
                f"{len(self._far)} of {self._total} boxes do not fit their images: {_first(self._far)}. Check that these are the images "
                "that were annotated, and whether the parameter annotationFormat must be corners (url,x1,y1,x2,y2,class), or a CSV's header "
                f"must name xmin,ymin,xmax,ymax{orientation}."
            )


class _PercentCheck:
    """Whether boxes in pixels are percent: no box ends far from the upper left corner of its large image, and some just before 100."""

    def __init__(self) -> None:
        self._possible = True
        self._right = self._bottom = 0.0
        self._places = set[tuple[float, float, float, float]]()
        self._first = Findings()

    def inspect(self, boxes: Sequence[Box], size: Size, where: str) -> None:
        for box in boxes:
            if not self._possible:
                return
            right, bottom = box.x + box.width, box.y + box.height
            self._possible = not box.normalized and min(size) >= MIN_PERCENT_IMAGE and max(right, bottom) <= PERCENT[1]
            self._right, self._bottom = max(self._right, right), max(self._bottom, bottom)
            self._first.add(Finding("box", where, describe(box)))
            if len(self._places) < MIN_PERCENT_BOXES:
                self._places.add((box.x, box.y, box.width, box.height))

    def raise_for_percent(self) -> None:
        if not self._possible or len(self._places) < MIN_PERCENT_BOXES or min(self._right, self._bottom) < PERCENT[0]:
            return
        raise BadAnnotationsError(
            f"All boxes lie within 100 pixels of the upper left corner of their images: {_first(self._first)}. They look like percent of "
            "their images; multiply x and width by a hundredth of the image's width, y and height by a hundredth of its height, and send the "
            "message again."
        )


def fit(boxes: Iterable[Box], size: Size) -> bool:
    """Return whether no box reaches beyond the right or lower edge of an image, but for ROUNDING."""
    width, height = size
    return all(box.x + box.width <= width + ROUNDING and box.y + box.height <= height + ROUNDING for box in boxes)


def clip(box: Box, size: Size) -> Box:
    """Return the part of a box inside an image of `size`; its sides may be zero or negative. Its outline stays whole."""
    left, top = max(0.0, box.x), max(0.0, box.y)
    right, bottom = min(size[0], box.x + box.width), min(size[1], box.y + box.height)
    return replace(box, x=left, y=top, width=right - left, height=bottom - top)


def _is_inside_as_center(box: Box, size: Size) -> bool:
    """Whether a box is inside its image if x and y are its center."""
    return all(
        -ROUNDING <= center - length / 2 <= center + length / 2 <= side + ROUNDING
        for center, length, side in ((box.x, box.width, size[0]), (box.y, box.height, size[1]))
    )


def _is_fraction(box: Box) -> bool:
    """Whether a box is too small for pixels; in fractions of its image it may be as large as 1 x 1.

    A box of 0 x 0 comes from a click. A box that is known to be normalized says nothing about the others.
    """
    if box.normalized or not max(box.width, box.height):
        return False
    return max(box.width, box.height) < MIN_SIDE or max(box.x, box.y, box.width, box.height) <= 1


def _problem(box: Box, size: Size, *, left_out: bool) -> str:
    described, image = describe(box), f"the image of {size[0]:g} x {size[1]:g}"
    if min(box.width, box.height) <= 0:
        return f"{described} has no area: left out"
    if min(box.width, box.height) < MIN_SIDE:
        return f"{described} is smaller than a pixel: left out"
    return f"{described} lies outside {image}: left out" if left_out else f"{described} extends beyond {image}: clipped"


def describe(box: Box) -> str:
    """Name a box in a finding."""
    return f"box of {box.label} at x {box.x:g}, y {box.y:g}, {box.width:g} x {box.height:g} pixels"


def _first(findings: Findings) -> str:
    return "; ".join(f"{finding.where}: {finding.what}" for finding in islice(findings.listed(), 3))
