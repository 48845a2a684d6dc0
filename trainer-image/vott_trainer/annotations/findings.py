"""Problems found in the data, for the report: what was left out or repaired."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["file", "line", "image", "box", "class", "duplicate", "scene"]

MAX_LISTED = 20  # of a kind


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: `where` is a file or its line, a class, or an image's URL without its query; `what` is one sentence."""

    kind: Kind
    where: str
    what: str


class Findings:
    """The first findings of each kind, and how many there were: millions of them take no memory."""

    def __init__(self) -> None:
        self._first: dict[Kind, list[Finding]] = {}
        self._counts: Counter[Kind] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def add(self, finding: Finding) -> None:
        """Count a finding; keep it if it is among the first of its kind."""
        self._counts[finding.kind] += 1
        first = self._first.setdefault(finding.kind, [])
        if len(first) < MAX_LISTED:
            first.append(finding)

    def listed(self) -> list[Finding]:
        """Return up to MAX_LISTED findings of each kind, then one with the number of the rest."""
        listed: list[Finding] = []
        for kind, first in self._first.items():
            rest = self._counts[kind] - len(first)
            listed += first
            listed += [Finding(kind, "", f"{rest:,} more of this kind")] if rest else []
        return listed


def shortened(findings: Iterable[Finding]) -> list[Finding]:
    """Return up to MAX_LISTED findings of each kind, then one with the number of the rest."""
    collected = Findings()
    for finding in findings:
        collected.add(finding)
    return collected.listed()
