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

from vott_trainer.data.decoding import open_rgb
from vott_trainer.plugin_api import Example, Prediction
from vott_trainer.report.wording import count
from vott_trainer.vision import matching
from vott_trainer.vision.matching import Pair

log = logging.getLogger(__name__)

LONGEST_SIDE = 640  # pixels
QUALITY = 78
MOST_SAID = 3  # mistakes of a kind below a picture, and classes that were found
LONGEST_LABEL = 18  # characters upon a picture
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
    """An example to look at.

    `name` is the image's name, `source` all that is known of where it was, `letters` their height in pixels. `doubtful`: something is
    missed, or seen as what it is not, which may be the annotation's fault.
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
    """Return the examples as the page shows them."""
    return [_picture(example, image) for example in examples if (image := _open(example))]


def _open(example: Example) -> Image.Image | None:
    try:
        return open_rgb(example.image)
    except OSError as error:  # the report is worth less than the model
        log.warning("the report does without %s: %s", example.name, error)
        return None


def _picture(example: Example, small: Image.Image) -> Picture:
    width = small.width
    small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    scale = small.width / width
    found = matching.pairs(example.truth, example.predictions)
    letters = max(small.size) / LETTERS
    marks = [mark for pair in found if (mark := _mark(pair, example.repeated, scale, small.width, letters))]
    name = example.name.rstrip("/").rpartition("/")[2] or example.name
    doubtful = bool(example.wrong or example.missed)
    said = sentence(found)
    return Picture(name, _data_uri(small), small.width, small.height, letters, example.name, marks, said, doubtful)


def sentence(found: Sequence[Pair]) -> str:
    """Return in words what is wrong, and then what is right."""
    right = Counter(seen.label for truth, seen in found if seen and _is_right(truth, seen))
    wrong = Counter(_mistake(truth, seen, found) for truth, seen in found if not _is_right(truth, seen))
    said = [_times(number, words) for words, number in wrong.most_common(MOST_SAID)]
    if more := wrong.total() - sum(number for _, number in wrong.most_common(MOST_SAID)):
        said.append(count(more, "other mistake"))
    if len(right) > MOST_SAID:
        said.append(f"{right.total()} found")
    else:
        said += [_times(number, f"{name} found") for name, number in right.items()]
    return "; ".join(said) or "nothing is there, and the model sees nothing"


def _is_right(truth: Prediction | None, seen: Prediction | None) -> bool:
    return bool(truth and seen and truth.label == seen.label)


def _mistake(truth: Prediction | None, seen: Prediction | None, found: Sequence[Pair]) -> str:
    if truth and seen:
        return f"{truth.label} taken for {seen.label}"
    return f"{truth.label} missed" if truth else _unpaired(seen, found) if seen else ""


def _unpaired(seen: Prediction, found: Sequence[Pair]) -> str:
    if seen in matching.repeated(found):
        return f"{seen.label} marked twice"
    if matching.meant(seen, [truth for truth, _ in found if truth]):
        return f"{seen.label} marked by a box that fits badly"
    return f"{seen.label} seen where none is annotated"


def _times(number: int, words: str) -> str:
    return words if number == 1 else f"{number} times {words}"


def _mark(pair: Pair, repeated: Sequence[Prediction], scale: float, width: int, letters: float) -> Mark | None:
    truth, seen = pair
    shown = seen or truth
    if not shown or not shown.box:
        return None
    kind, text = _kind_and_text(truth, seen)
    if not truth and seen in repeated:
        text += ", twice"
    x, y, w, h = (value * scale for value in (shown.box.x, shown.box.y, shown.box.width, shown.box.height))
    above = y > 1.3 * letters
    fits = x + 0.6 * letters * len(text) <= width
    place = (x if fits else min(x + w, width), y - 0.35 * letters if above else max(0.0, y) + letters)
    return Mark(kind, text, x, y, w, h, *place, "start" if fits else "end")


def _kind_and_text(truth: Prediction | None, seen: Prediction | None) -> tuple[Kind, str]:
    if not seen:
        return "missed", f"{_short(truth.label)} missed" if truth else ""
    score = f"{_short(seen.label)} {seen.score:.0%}"
    if truth and not _is_right(truth, seen):
        return "wrong", f"{score}, not {_short(truth.label)}"
    return "right" if truth else "wrong", score


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def write_sample(path: Path, examples: Iterable[Example]) -> None:
    """Write one held-out image with what the model sees on it, the best one; none where there are no examples."""
    chosen = max(examples, key=lambda example: (example.right, len(example.predictions)), default=None)
    if chosen and (image := _open(chosen)):
        from vott_trainer.vision.drawing import draw  # imports matplotlib, which takes a second

        draw(image, chosen.predictions).save(path, quality=90)
