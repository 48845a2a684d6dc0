"""Clip boxes to their images; detect boxes in fractions, of other images, or in the wrong annotation format."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from vott_trainer.annotations.findings import Finding, Findings
from vott_trainer.annotations.model import Box
from vott_trainer.errors import BadAnnotationsError

MIN_SIDE = 1.0  # pixels of a box inside its image
EPSILON = 1e-6  # pixels: error of floating-point sums
ROUNDING = 1.0  # pixels that a box may extend beyond its image without a finding
FAR = 0.1  # of the image's side: a box that extends further was probably drawn on another image
MAX_FAR = 0.5  # of all boxes; more belong to other images, or to another format
MAX_FAR_OF_CORNERS = 0.1  # where every box could be two corners

Size = tuple[float, float]


class BoxChecks:
    """Checks the boxes of all images, and adds to `findings`."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._total = 0
        self._far = Findings()  # boxes far beyond their image
        self._fractions = Findings()  # boxes that look like fractions of their image's sides
        self._may_be_corners = True  # while every box is also valid as two corners

    def inspect(self, boxes: Sequence[Box], where: str) -> None:
        """Collect signs of another format, from boxes as they were annotated."""
        self._total += len(boxes)
        self._may_be_corners = self._may_be_corners and all(box.width > box.x and box.height > box.y for box in boxes)
        for box in filter(_is_fraction, boxes):
            self._fractions.add(Finding("box", where, describe(box)))

    def clipped(self, boxes: Sequence[Box], size: Size, where: str) -> list[Box]:
        """Return the boxes clipped to their image, without those of which less than a pixel remains."""
        return [inside for box in boxes if (inside := self._clipped(box, size, where))]

    def _clipped(self, box: Box, size: Size, where: str) -> Box | None:
        inside = clip(box, size)
        left_out = min(inside.width, inside.height) < MIN_SIDE - EPSILON
        beyond = [box.width - inside.width, box.height - inside.height]
        if left_out or max(beyond) > ROUNDING:
            finding = Finding("box", where, _problem(box, size, left_out=left_out))
            self._findings.add(finding)
            if any(part > FAR * side for part, side in zip(beyond, size, strict=True)):
                self._far.add(finding)
        return None if left_out else inside

    def raise_for_mismatch(self) -> None:
        """Refuse annotations in fractions, of other images, or in another format.

        Raises:
            BadAnnotationsError: with the first of these boxes and the remedy.
        """
        if 2 * len(self._fractions) > self._total:
            raise BadAnnotationsError(
                f"{len(self._fractions)} of {self._total} boxes are smaller than a pixel: {_first(self._fractions)}. They look like "
                "fractions of their images; multiply x and width by the image's width, y and height by its height, and send the message again."
            )
        if len(self._far) > max(1, self._total * (MAX_FAR_OF_CORNERS if self._may_be_corners else MAX_FAR)):
            raise BadAnnotationsError(
                f"{len(self._far)} of {self._total} boxes do not fit their images: {_first(self._far)}. Check that these are the images "
                "that were annotated, and whether the parameter annotationFormat must be corners (url,x1,y1,x2,y2,class)."
            )


def clip(box: Box, size: Size) -> Box:
    """Return the part of a box inside an image of `size`; its sides may be zero or negative. Its outline stays whole."""
    left, top = max(0.0, box.x), max(0.0, box.y)
    right, bottom = min(size[0], box.x + box.width), min(size[1], box.y + box.height)
    return replace(box, x=left, y=top, width=right - left, height=bottom - top)


def _is_fraction(box: Box) -> bool:
    """Whether a box is too small for pixels; in fractions of its image it may be as large as 1 x 1."""
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
