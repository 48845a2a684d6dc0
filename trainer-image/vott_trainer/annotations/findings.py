"""What was found wrong with the data, for the report: left out or mended, but worth knowing."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["line", "image", "box", "class", "duplicate"]

MOST_LISTED = 20  # of a kind


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: `where` is a file with its line, or an image's URL without its query; `what` is one sentence."""

    kind: Kind
    where: str
    what: str


class Findings:
    """What was found so far: of each kind the first ones, and how many there were. Millions of them take no memory."""

    def __init__(self) -> None:
        self._first: dict[Kind, list[Finding]] = {}
        self._counts: Counter[Kind] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def add(self, finding: Finding) -> None:
        """Count one, and keep it where it is among the first."""
        self._counts[finding.kind] += 1
        first = self._first.setdefault(finding.kind, [])
        if len(first) < MOST_LISTED:
            first.append(finding)

    def listed(self) -> list[Finding]:
        """Return at most MOST_LISTED findings of each kind, and one more that counts the rest."""
        short: list[Finding] = []
        for kind, first in self._first.items():
            rest = self._counts[kind] - len(first)
            short += first
            short += [Finding(kind, "", f"{rest:,} more of this kind")] if rest else []
        return short


def shortened(findings: Iterable[Finding]) -> list[Finding]:
    """Return at most MOST_LISTED findings of each kind, and one more that counts the rest."""
    found = Findings()
    for finding in findings:
        found.add(finding)
    return found.listed()
