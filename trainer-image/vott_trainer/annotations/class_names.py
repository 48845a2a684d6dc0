"""Names of classes: one spelling for each, and findings for names that look alike."""

import functools
import itertools
import re
import sys
import unicodedata
from collections.abc import Iterable

from vott_trainer.annotations.findings import Finding

# Without width and without meaning: pasted from chats, web pages and word processors. Joiners stay, as Persian and emoji need them.
_WITHOUT_WIDTH = dict.fromkeys(map(ord, "\u00ad\u180e\u200b\u2060\ufeff"))
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_BETWEEN_WORDS = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
_ALIKE = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-") | dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'")
)


@functools.lru_cache(maxsize=1 << 14)  # a file may repeat a name a million times
def canonical(name: str) -> str:
    """Return the spelling that a name is compared and delivered in: Unicode's NFC, blanks of any kind and number as one space."""
    return sys.intern(" ".join(unicodedata.normalize("NFC", name.translate(_WITHOUT_WIDTH)).split()))


def alike(names: Iterable[str]) -> list[Finding]:
    """Return a finding for each name that people would take for one before it, in the order of `names`."""
    by_look = sorted((_look(name), number, name) for number, name in enumerate(names))
    found = []
    for _, group in itertools.groupby(by_look, key=lambda item: item[0]):
        (_, _, first), *others = group
        found += [(number, name, first) for _, number, name in others]
    return [
        Finding("class", name, f"is another class than {first!r}: the names differ {_difference(name, first)}. Rename one if they are one class")
        for _, name, first in sorted(found)
    ]  # fmt: skip


def _look(name: str) -> str:
    text = _without_invisible(unicodedata.normalize("NFKC", name).translate(_ALIKE)).casefold()
    return _BETWEEN_WORDS.sub("", unicodedata.normalize("NFKC", text))


def _without_invisible(name: str) -> str:
    return "".join(character for character in name if not _is_invisible(character))


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or ord(character) in _VARIATION_SELECTORS


def _difference(one: str, other: str) -> str:
    if one.lower() == other.lower():
        return "only in upper and lower case"
    if _without_invisible(one) == _without_invisible(other):
        codes = sorted({f"U+{ord(character):04X}" for character in filter(_is_invisible, one + other)})
        return f"only in characters that can't be seen ({', '.join(codes)})"
    return "only in blanks, hyphens or the form of their letters"
