"""Crowds: annotations around several objects, as COCO's `iscrowd` marks them. They are left out, as in COCO's own evaluation."""

from typing import Any

from vott_trainer.annotations.model import LeftOutError

MAX_CROWDS = 0.1  # of all annotations; in COCO's own files 0.012


def is_crowd(mark: Any) -> bool:
    """Whether the value of `iscrowd` or its like marks a crowd."""
    return mark in (1, "1")


def are_objects(crowds: int, total: int) -> bool:
    """Whether so many annotations are marked that the tool must mark single objects, too."""
    return crowds > MAX_CROWDS * total


def left_out(name: str) -> LeftOutError:
    """Return the error of a crowd; `name` is that of its mark."""
    return LeftOutError(f"is a group of objects ({name} 1), not a single one: left out")
