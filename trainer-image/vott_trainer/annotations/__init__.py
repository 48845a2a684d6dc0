"""The annotation file: one dialect a module, each entry checked, every error placed. docs/annotations.md shows the formats.

A dialect turns the file into pairs of a place and a `Row`, or the `Fault` that stands there. Everything else is the same for all of
them: links (`links`), values (`values`), how many faults are too many and how rows become images (`reading`).
"""

from vott_trainer.annotations.model import AnnotatedImage, Annotations, Box, Format
from vott_trainer.annotations.reading import read

__all__ = ["AnnotatedImage", "Annotations", "Box", "Format", "read"]
