"""Check outlines: repair those with degenerate parts, and report those that can't be used or are not learned."""

from collections.abc import Sequence
from dataclasses import replace

from vott_trainer.annotations import outlines
from vott_trainer.annotations.findings import Finding, Findings
from vott_trainer.annotations.model import Box, Outline, Ring
from vott_trainer.data.box_checks import EPSILON, describe


class OutlineChecks:
    """Checks the outlines of all images, and adds to `findings`.

    Args:
        used: whether the training learns outlines; otherwise it gets none.
    """

    def __init__(self, findings: Findings, *, used: bool) -> None:
        self._findings, self._used = findings, used
        self._outlines = self._rectangles = 0

    def checked(self, boxes: Sequence[Box], where: str) -> list[Box]:
        """Return the boxes with usable outlines; the others keep none."""
        return [self._checked(box, where) for box in boxes]

    def summarize(self) -> None:
        """Report how many objects have another outline for the training than in the annotations."""
        if self._outlines and not self._used:
            objects = (
                "1 object has an outline, of which"
                if self._outlines == 1
                else f"{self._outlines:,} objects have outlines, of which"
            )
            problem = f'{objects} only the bounding box was used: "plugin": "segmentation" learns outlines'
            self._findings.add(Finding("box", "", problem))
        if self._rectangles and self._used:
            objects = "1 object has" if self._rectangles == 1 else f"{self._rectangles:,} objects have"
            self._findings.add(Finding("box", "", f"{objects} no outline: the box was used as its outline"))

    def _checked(self, box: Box, where: str) -> Box:
        self._outlines += box.outline is not None
        if not self._used:
            return replace(box, outline=None) if box.outline is not None else box
        outline = _usable(box.outline or (), box)
        self._rectangles += not outline
        if box.outline is None or (outline and outline == box.outline):
            return box
        repair = "an outline with parts without area: they are left out"
        useless = "an outline that can't be read, has no area or lies elsewhere: the box is used"
        self._findings.add(Finding("box", where, f"{describe(box)} has {repair if outline else useless}"))
        return replace(box, outline=outline or None)


def _usable(outline: Outline, box: Box) -> Outline:
    """Return the polygons with area, if they overlap the box."""
    kept = tuple(rings for polygon in outline if (rings := tuple(filter(_has_area, polygon))))
    if not kept:
        return ()
    x, y, width, height = outlines.bounding_box(kept)
    overlaps = x < box.x + box.width and box.x < x + width and y < box.y + box.height and box.y < y + height
    return kept if overlaps else ()


def _has_area(ring: Ring) -> bool:
    """Whether the points do not all lie on a line; rings may cross themselves, so that their signed area says nothing."""
    xs, ys = [x - ring[0] for x in ring[::2]], [y - ring[1] for y in ring[1::2]]
    far = max(range(len(xs)), key=lambda number: abs(xs[number]) + abs(ys[number]))
    smallest = EPSILON * (abs(xs[far]) + abs(ys[far]))
    return any(abs(x * ys[far] - y * xs[far]) > smallest for x, y in zip(xs, ys, strict=True))
