"""Examples for the page: a small JPEG that lies in it, and the boxes to draw upon it."""

import base64
import io
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from vott_trainer.evaluation import Example, Prediction
from vott_trainer.images import open_rgb
from vott_trainer.vision import matching
from vott_trainer.vision.matching import Pair

log = logging.getLogger(__name__)

LONGEST_SIDE = 640  # pixels
QUALITY = 78
LETTERS = 26  # that many times their height is the picture's longer side

Kind = Literal["right", "wrong", "missed"]


@dataclass(frozen=True, slots=True)
class Mark:
    """One box upon a picture, in the picture's pixels, with its text; `kind` gives its colour."""

    kind: Kind
    text: str
    x: float
    y: float
    width: float
    height: float
    text_x: float
    text_y: float
    anchor: Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class Picture:
    """An example to look at. `name` is the image's name, `source` all that is known of where it was; `letters` is their height in pixels."""

    name: str
    address: str
    width: int
    height: int
    letters: float
    source: str
    marks: list[Mark]
    sentence: str


def pictures(examples: Iterable[Example]) -> list[Picture]:
    """Return the examples as the page shows them; one whose image can't be read any more is left out."""
    found = []
    for example in examples:
        try:
            found.append(_picture(example))
        except OSError as error:
            log.warning("the report does without %s: %s", example.name, error)
    return found


def _picture(example: Example) -> Picture:
    small = open_rgb(example.image)
    width = small.width
    small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    scale = small.width / width
    found = matching.pairs(example.truth, example.predictions)
    letters = max(small.size) / LETTERS
    marks = [mark for truth, seen in found if (mark := _mark(truth, seen, scale, small.width, letters))]
    name = example.name.rstrip("/").rpartition("/")[2] or example.name
    return Picture(name, _data_uri(small), small.width, small.height, letters, example.name, marks, sentence(found))


def sentence(found: Sequence[Pair]) -> str:
    """Return in words what is right, confused, missed and imagined."""
    told = Counter(_in_words(truth, seen) for truth, seen in found)
    said = [words if count == 1 else f"{count} times {words}" for words, count in told.items()]
    return "; ".join(said) or "nothing is there, and the model sees nothing"


def _in_words(truth: Prediction | None, seen: Prediction | None) -> str:
    if truth and seen:
        return f"{seen.label} found" if seen.label == truth.label else f"{truth.label} taken for {seen.label}"
    return f"{truth.label} missed" if truth else f"{seen.label} seen where none is annotated" if seen else ""


def _mark(truth: Prediction | None, seen: Prediction | None, scale: float, width: int, letters: float) -> Mark | None:
    shown = seen or truth
    if not shown or not shown.box:
        return None
    kind, text = _kind_and_text(truth, seen)
    x, y, w, h = (value * scale for value in (shown.box.x, shown.box.y, shown.box.width, shown.box.height))
    above = y > 1.3 * letters
    fits = x + 0.6 * letters * len(text) <= width
    place = (x if fits else min(x + w, width), y - 0.35 * letters if above else max(0.0, y) + letters)
    return Mark(kind, text, x, y, w, h, *place, "start" if fits else "end")


def _kind_and_text(truth: Prediction | None, seen: Prediction | None) -> tuple[Kind, str]:
    if not seen:
        return "missed", f"{truth.label} missed" if truth else ""
    if truth and truth.label == seen.label:
        return "right", f"{seen.label} {seen.score:.0%}"
    return "wrong", f"{seen.label} {seen.score:.0%}" + (f", not {truth.label}" if truth else "")


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def write_sample(path: Path, examples: Iterable[Example]) -> None:
    """Write one held-out image with what the model sees on it, the best one; none where there are no examples."""
    from vott_trainer.vision.drawing import draw

    chosen = sorted(examples, key=lambda example: (example.right, len(example.predictions)))
    if chosen:
        draw(open_rgb(chosen[-1].image), chosen[-1].predictions).save(path, quality=90)
