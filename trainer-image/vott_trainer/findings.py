"""What was found wrong with the data, for the report: left out or mended, but worth knowing."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["line", "image", "box", "class", "duplicate"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: `where` is a file with its line, or an image's URL without its query; `what` is one sentence."""

    kind: Kind
    where: str
    what: str
