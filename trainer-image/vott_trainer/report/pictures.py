"""Example images for the page: embedded JPEGs, their boxes, and a sentence on what the model got wrong."""

import base64
import io
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image

from vott_trainer.annotations import Outline
from vott_trainer.annotations.model import Ring
from vott_trainer.data.decoding import open_rgb
from vott_trainer.plugin_api import Example, Prediction
from vott_trainer.report.formatting import count
from vott_trainer.vision import matching
from vott_trainer.vision.matching import Pair

log = logging.getLogger(__name__)

LONGEST_SIDE = 640  # pixels
QUALITY = 78
MOST_LISTED = 3  # mistakes, and found classes, in a picture's sentence
LONGEST_LABEL = 18  # characters in a picture
LETTERS_PER_SIDE = 26  # the picture's longer side, in letter heights

Kind = Literal["correct", "wrong", "missed"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A box with its text, in the picture's pixels; `kind` decides the colour. `outlines` are SVG paths instead of the box."""

    kind: Kind
    text: str
    x: float
    y: float
    width: float
    height: float
    text_x: float
    text_y: float
    anchor: Literal["start", "end"]
    outlines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Picture:
    """An example as the page shows it.

    Attributes:
        name: the image's file name.
        address: the JPEG as a data URI.
        letters: height of the marks' letters in pixels.
        source: the image's URL without query.
        doubtful: whether something is missed or wrong, for which the annotation may be to blame.
    """

    name: str
    address: str
    width: int
    height: int
    letters: float
    source: str
    marks: list[Mark]
    sentence: str
    doubtful: bool = False


def pictures(examples: Iterable[Example]) -> list[Picture]:
    """Prepare the examples for the page, without those whose image can't be read."""
    return [_picture(example, image) for example in examples if (image := _open(example))]


def _open(example: Example) -> Image.Image | None:
    try:
        return open_rgb(example.image)
    except OSError as error:  # the report is worth less than the model
        log.warning("%s is left out of the report: %s", example.name, error)
        return None


def _picture(example: Example, image: Image.Image) -> Picture:
    width = image.width
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    scale = image.width / width
    pairs = matching.match(example.truth, example.predictions)
    letters = max(image.size) / LETTERS_PER_SIDE
    return Picture(
        name=example.name.rstrip("/").rpartition("/")[2] or example.name,
        address=_data_uri(image),
        width=image.width,
        height=image.height,
        letters=letters,
        source=example.name,
        marks=[mark for pair in pairs if (mark := _mark(pair, example.duplicates, scale, image.width, letters))],
        sentence=sentence(pairs),
        doubtful=bool(example.wrong or example.missed),
    )


def sentence(pairs: Sequence[Pair]) -> str:
    """List the mistakes, then what was found."""
    found = Counter(predicted.label for truth, predicted in pairs if predicted and _is_correct(truth, predicted))
    mistakes = Counter(_mistakes(pairs))
    listed = mistakes.most_common(MOST_LISTED)
    parts = [_times(number, mistake) for mistake, number in listed]
    if others := mistakes.total() - sum(number for _, number in listed):
        parts.append(count(others, "other mistake"))
    if len(found) > MOST_LISTED:
        parts.append(f"{found.total()} found")
    else:
        parts += [_times(number, f"{label} found") for label, number in found.items()]
    return "; ".join(parts) or "no objects, and none predicted"


def _is_correct(truth: Prediction | None, predicted: Prediction | None) -> bool:
    return bool(truth and predicted and truth.label == predicted.label)


def _mistakes(pairs: Sequence[Pair]) -> Iterator[str]:
    extra, objects = set(matching.duplicates(pairs)), [truth for truth, _ in pairs if truth]
    loose = set(matching.marking([predicted for truth, predicted in pairs if predicted and not truth], objects)) - extra
    for truth, predicted in pairs:
        if truth and predicted:
            if truth.label != predicted.label:
                yield f"{truth.label} mistaken for {predicted.label}"
        elif truth:
            yield f"{truth.label} missed"
        elif predicted:
            label = predicted.label
            if predicted in extra:
                yield f"duplicate box on {label}"
            elif predicted in loose:
                yield f"badly fitting box on {label}"
            else:
                yield f"{label} predicted where none is annotated"


def _times(number: int, text: str) -> str:
    return text if number == 1 else f"{text} ({number} times)"


def _mark(pair: Pair, duplicates: Sequence[Prediction], scale: float, width: int, letters: float) -> Mark | None:
    truth, predicted = pair
    marked = predicted or truth
    if not marked or not marked.box:
        return None
    kind, text = _kind_and_text(truth, predicted)
    if not truth and predicted in duplicates:
        text += ", duplicate"
    x, y, w, h = (value * scale for value in (marked.box.x, marked.box.y, marked.box.width, marked.box.height))
    fits_above = y > 1.3 * letters
    fits_right = x + 0.6 * letters * len(text) <= width
    text_x = x if fits_right else min(x + w, width)
    text_y = y - 0.35 * letters if fits_above else max(0.0, y) + letters
    anchor: Literal["start", "end"] = "start" if fits_right else "end"
    return Mark(kind, text, x, y, w, h, text_x, text_y, anchor, _paths(marked.box.outline or (), scale))


def _paths(outline: Outline, scale: float) -> list[str]:
    """Return an SVG path for each polygon, to be filled by the rule `evenodd`."""
    return [" ".join(_closed(ring, scale) for ring in polygon) for polygon in outline]


def _closed(ring: Ring, scale: float) -> str:
    """Return SVG path data, without points nearer than a pixel to the one before."""
    points: list[tuple[float, float]] = []
    for x, y in zip(ring[::2], ring[1::2], strict=True):
        point = (x * scale, y * scale)
        if not points or math.dist(point, points[-1]) >= 1:
            points.append(point)
    return "M" + " ".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"


def _kind_and_text(truth: Prediction | None, predicted: Prediction | None) -> tuple[Kind, str]:
    if not predicted:
        return "missed", f"{_short(truth.label)} missed" if truth else ""
    score = f"{_short(predicted.label)} {predicted.score:.0%}"
    if truth and not _is_correct(truth, predicted):
        return "wrong", f"{score}, not {_short(truth.label)}"
    return "correct" if truth else "wrong", score


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def write_sample(path: Path, examples: Iterable[Example]) -> None:
    """Write the best held-out image with its predictions drawn; nothing if there are no examples."""
    best = max(examples, key=lambda example: (example.is_correct, len(example.predictions)), default=None)
    if best and (image := _open(best)):
        from vott_trainer.vision.drawing import draw  # imports matplotlib, which takes a second

        draw(image, best.predictions).save(path, quality=90)
