"""Annotation files in all formats of docs/annotations.md, read into images, boxes and classes.

One module for each format yields a `Row` or a `FormatError` for each entry, with its place. Everything else is common to all formats:
detection (`formats`), image URLs (`image_urls`), values (`values`), outlines (`outlines`), limits (`limits`), rows to images
(`collector`), and archives (`archives`).
"""

from vott_trainer.annotations.model import AnnotatedImage, Annotations, Box, Format, Outline
from vott_trainer.annotations.reading import prepare, read

__all__ = ["AnnotatedImage", "Annotations", "Box", "Format", "Outline", "prepare", "read"]
