"""Draw predictions on their image."""

import colorsys
import zlib
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vott_trainer.annotations import Box
from vott_trainer.plugin_api import Prediction
from vott_trainer.vision.shapes import Shape

OPACITY = 90  # of 255, of an area inside an outline

_FONT = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")  # has more scripts than Pillow's own


def draw(image: Image.Image, predictions: Iterable[Prediction]) -> Image.Image:
    """Return a copy of an RGB image with the box or outline, label and score of each prediction; each label has its own colour.

    Predictions of the whole image are listed in its upper left corner.
    """
    predictions = list(predictions)
    drawn = image.copy()
    for prediction in predictions:
        if prediction.box and prediction.box.outline:
            _fill(drawn, prediction.box, _colour(prediction.label))
    pen = _Pen(drawn)
    for prediction in predictions:
        pen.box(prediction, prediction.box) if prediction.box else pen.line(prediction)
    return drawn


def _fill(image: Image.Image, box: Box, colour: tuple[int, int, int]) -> None:
    """Fill the area inside the outline with a translucent colour."""
    inside = Shape.of(box).mask(image.height, image.width)
    image.paste(colour, mask=Image.fromarray(inside * np.uint8(OPACITY)))


class _Pen:
    """Draws on one image, with line width and font in proportion to its size."""

    def __init__(self, image: Image.Image) -> None:
        self._canvas = ImageDraw.Draw(image)
        self._width = max(2, max(image.size) // 300)
        self._font = ImageFont.truetype(_FONT, max(11, max(image.size) // 50))
        self._next_line = 0.0

    def box(self, prediction: Prediction, box: Box) -> None:
        colour = _colour(prediction.label)
        for ring in (ring for polygon in box.outline or () for ring in polygon):
            self._canvas.line((*ring, *ring[:4]), fill=colour, width=self._width, joint="curve")
        if not box.outline:
            corners = (box.x, box.y, box.x + box.width, box.y + box.height)
            self._canvas.rectangle(corners, outline=colour, width=self._width)
        self._text(prediction, box.x, box.y)

    def line(self, prediction: Prediction) -> None:
        self._next_line = self._text(prediction, 0, self._next_line)

    def _text(self, prediction: Prediction, x: float, y: float) -> float:
        """Write label and score; return where the next line begins."""
        text = f"{prediction.label} {prediction.score:.2f}"
        right, bottom = x + self._font.getlength(text) + 2 * self._width, y + sum(self._font.getmetrics())
        self._canvas.rectangle((x, y, right, bottom), fill=_colour(prediction.label))
        self._canvas.text((x + self._width, y), text, fill="white", font=self._font)
        return bottom + 1


def _colour(label: str) -> tuple[int, int, int]:
    hue = zlib.crc32(label.encode()) / 2**32
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 0.7)
    return round(red * 255), round(green * 255), round(blue * 255)
