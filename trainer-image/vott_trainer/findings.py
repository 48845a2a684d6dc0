"""What was found wrong with the data, for the report: left out or mended, but worth knowing."""

from collections.abc import Sequence
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


def shortened(findings: Sequence[Finding], total: int | None = None) -> list[Finding]:
    """Return at most MOST_LISTED findings of each kind, and one more that counts the rest.

    Args:
        total: how many there were, where `findings` of one kind hold only the first of them.
    """
    by_kind: dict[Kind, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    short: list[Finding] = []
    for kind, found in by_kind.items():
        rest = (total or len(found)) - len(found[:MOST_LISTED])
        short += found[:MOST_LISTED]
        short += [Finding(kind, "", f"{rest:,} more of this kind")] if rest else []
    return short
