"""Predictions drawn on their image."""

import colorsys
import zlib
from collections.abc import Iterable

from PIL import Image, ImageDraw, ImageFont

from vott_trainer.plugins.base import Prediction

LOWEST_SCORE_DRAWN = 0.5


def draw(image: Image.Image, predictions: Iterable[Prediction]) -> Image.Image:
    """Return a copy of an RGB image with each prediction's box, label and score; a label has the same colour everywhere."""
    drawn = image.copy()
    canvas = ImageDraw.Draw(drawn)
    line = max(2, max(image.size) // 300)
    font = ImageFont.load_default(size=max(11, max(image.size) // 45))
    for prediction in predictions:
        _draw_one(canvas, prediction, line, font)
    return drawn


def _draw_one(
    canvas: ImageDraw.ImageDraw, prediction: Prediction, line: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont
) -> None:
    box, colour = prediction.box, _colour(prediction.box.label)
    canvas.rectangle((box.x, box.y, box.x + box.width, box.y + box.height), outline=colour, width=line)
    text = f"{box.label} {prediction.score:.2f}"
    left, top, right, bottom = canvas.textbbox((box.x + line, box.y + line), text, font=font)
    canvas.rectangle((left - line, top - line, right + line, bottom + line), fill=colour)
    canvas.text((box.x + line, box.y + line), text, fill="white", font=font)


def _colour(label: str) -> tuple[int, int, int]:
    hue = zlib.crc32(label.encode()) / 2**32
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 0.7)
    return round(red * 255), round(green * 255), round(blue * 255)
