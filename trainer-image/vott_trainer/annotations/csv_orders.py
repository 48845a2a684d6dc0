"""CSV without a header: orders of columns that the fields of a line tell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vott_guard.urls import is_url
from vott_trainer.annotations.csv_names import AUTO_ML, COLUMNS
from vott_trainer.annotations.csv_numbers import may_be_number
from vott_trainer.annotations.name_readings import is_image_name

SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "dev", "unassigned"})
_FILE_NAME = re.compile(r"(?!\{\")[^<>]+\.\w+")
_IN_CLOUD = re.compile(r"(gs|s3)://.+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Order:
    """Columns in a fixed order.

    Attributes:
        names: as in a header; an empty one is ignored.
        kinds: of the fields, one letter each, as `_kinds` gives them.
        normalized: whether boxes are in fractions of their images, which their values must confirm.
        sized: whether the boxes must lie in images of the size that the line has, since the order is doubtful otherwise.
    """

    names: tuple[str, ...]
    kinds: re.Pattern[str]
    normalized: bool = False
    sized: bool = False


DEFAULT = Order(COLUMNS["vott-web"], re.compile(r"[^SE](?=E*N)[NE]{4}.+"))
CLASSES = Order(COLUMNS["classes"], re.compile(r"I.|I[^N].{,3}"))
UNKNOWN = Order((), re.compile(r"(?=(.*N){4})(I.*[TS]|[^I].*I).*|SI[TSN]{2,}.*"))
ORDERS = (
    Order(AUTO_ML, re.compile(r"[SE]I[TSN]NN(EENN|N{6})E*"), normalized=True),
    Order(AUTO_ML[1:], re.compile(r"I[TSN]NN(EENN|N{6})E*"), normalized=True),
    Order(
        ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"),
        re.compile(r"INN[TSNE]NNNNE*"),
        sized=True,
    ),
    Order(("label", "x", "y", "w", "h", "image", "width", "height"), re.compile(r"[TSNE]NNNNINNE*"), sized=True),
    Order(("set", *COLUMNS["classes"]), re.compile(r"SI[TSN]E*")),
    Order(("class", "url"), re.compile(r"TIE*")),
    Order(DEFAULT.names, re.compile(r"I[NE]{4}([^N].*|N[NSE]*)")),
)  # those of Google's AutoML, of TensorFlow's object detection, and of make-sense are the most peculiar ones


def order_of(fields: Sequence[str]) -> Order | None:
    """Return the order that a line shows, UNKNOWN if it has all that belongs to a box in no known order, None if it shows nothing."""
    kinds = _kinds(fields)
    if found := _known(kinds):
        return found
    # pandas writes the number of the line first.
    if kinds[:1] == "N" and fields[0].strip().isdigit() and (found := _known(kinds[1:]) or _classes(kinds[1:])):
        return replace(found, names=("", *found.names))
    if UNKNOWN.kinds.fullmatch(kinds):
        return UNKNOWN
    if DEFAULT.kinds.fullmatch(kinds):
        return DEFAULT
    return _classes(f"I{kinds[1:]}") if fields and is_image(fields[0].strip()) else None


def _known(kinds: str) -> Order | None:
    return next((order for order in ORDERS if order.kinds.fullmatch(kinds)), None)


def _classes(kinds: str) -> Order | None:
    return CLASSES if CLASSES.kinds.fullmatch(kinds) else None


def _kinds(fields: Sequence[str]) -> str:
    """Return a letter for each field: Empty, Number, Split of the data, Image or other Text."""
    return "".join(_kind(field.strip()) for field in fields)


def _kind(field: str) -> str:
    if not field:
        return "E"
    if may_be_number(field):
        return "N"
    if field.lower() in SPLITS:
        return "S"
    return "I" if has_image_name(field) else "T"


def has_image_name(text: str) -> bool:
    """Whether a text is a URL, or ends as names of images do."""
    return is_url(text) or is_image_name(text) or bool(_IN_CLOUD.fullmatch(text))


def is_image(text: str) -> bool:
    """Whether a text may be the URL or the path of an image, where one is expected."""
    return is_url(text) or bool(_FILE_NAME.fullmatch(text))
