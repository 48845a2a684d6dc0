"""XML for Pascal VOC and CVAT: read as a stream, in bounded memory.

Entities that a file declares are refused: they can expand to gigabytes or name files of this machine. None is ever loaded from elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Self
from xml.parsers import expat  # nosec B407 # entities are refused below

from vott_trainer.annotations import limits
from vott_trainer.annotations.model import FormatError, LimitExceededError
from vott_trainer.annotations.values import excerpt

CHUNK = 1 << 16
MAX_TAG_BYTES = 8 << 20  # of one tag: expat takes a hundred bytes for each attribute, before anyone can count them
MAX_DEPTH = 100
ELEMENT_COST = 400  # bytes of memory
MAX_COST = 256 << 20  # bytes of memory of one part of the file: an image of CVAT, a whole file of Pascal VOC


@dataclass(slots=True)
class Element:
    """An element with its line in the file."""

    name: str
    line: int
    attributes: dict[str, str]
    children: list[Self] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> list[Self]:
        """Return the children of that name."""
        return [child for child in self.children if child.name == name]

    def child(self, name: str) -> Self | None:
        """Return the first child of that name."""
        return next((child for child in self.children if child.name == name), None)

    def text_of(self, name: str) -> str:
        """Return the text of the first child of that name; empty if there is none."""
        return child.text.strip() if (child := self.child(name)) else ""


def elements(path: Path) -> Iterator[Element]:
    """Yield the root element as it begins, without its children; then each of its children, whole.

    Raises:
        FormatError: it is not XML (with line and column), or declares entities.
        LimitExceededError: it is too large.
    """
    if path.stat().st_size > limits.MAX_XML_BYTES:
        raise LimitExceededError(f"is larger than {limits.MAX_XML_BYTES >> 20} MiB, the limit for XML")
    parser = _Parser()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield from parser.feed(chunk)
    yield from parser.feed(b"", final=True)


class _Parser:
    """Makes elements of expat's events."""

    def __init__(self) -> None:
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._done: list[Element] = []
        self._cost = self._fed = 0
        self._expat = expat.ParserCreate()
        self._expat.buffer_text = True
        self._expat.EntityDeclHandler = _refuse_entity
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._text

    def feed(self, chunk: bytes, *, final: bool = False) -> Iterator[Element]:
        """Parse a part of the file; yield the elements that are complete, also those before an error."""
        try:
            self._parse(chunk, final=final)
        finally:
            yield from self._done
            self._done.clear()

    def _parse(self, chunk: bytes, *, final: bool) -> None:
        try:
            self._expat.Parse(chunk, final)
        except expat.ExpatError as error:
            problem = expat.ErrorString(error.code)
            raise FormatError(f"line {error.lineno} column {error.offset + 1}: expected XML ({problem})") from error
        except ValueError as error:  # Python's own, for an encoding of several bytes a character
            if isinstance(error, FormatError):
                raise
            raise FormatError("expected XML in UTF-8, found another encoding") from error
        self._fed += len(chunk)
        if self._fed - self._expat.CurrentByteIndex > MAX_TAG_BYTES:
            raise LimitExceededError(f"has a tag of more than {MAX_TAG_BYTES >> 20} MiB")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        element = Element(name, self._expat.CurrentLineNumber, attributes)
        self._count(ELEMENT_COST + sum(map(len, attributes.values())) + ELEMENT_COST * len(attributes))
        if not self._open:
            self._done.append(element)
        elif len(self._open) > 1:
            self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])
        if len(self._open) > MAX_DEPTH:
            raise FormatError(f"line {element.line}: expected elements nested at most {MAX_DEPTH} deep, found more")

    def _end(self, _name: str) -> None:
        element, texts = self._open.pop(), self._texts.pop()
        element.text = "".join(texts)
        if len(self._open) == 1:
            self._done.append(element)
            self._cost = 0

    def _text(self, text: str) -> None:
        if len(self._open) > 1:  # between the root's children there are only line breaks
            self._count(len(text))
            self._texts[-1].append(text)

    def _count(self, cost: int) -> None:
        self._cost += cost
        if self._cost > MAX_COST:
            raise LimitExceededError(f"has more than {MAX_COST >> 20} MiB in one element")


def _refuse_entity(name: str, *_declaration: object) -> NoReturn:
    raise FormatError(f"declares the XML entity {excerpt(name)}, which annotations don't need: remove its DOCTYPE")
