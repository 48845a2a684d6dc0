"""Compare a training's CPU time with its budget in docs/plugins.md. Only printed; no test fails for being slow."""

import re
import resource
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/plugins.md"


def children_cpu_minutes() -> float:
    """CPU minutes used so far by all terminated child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


def compare_with_budget(architecture: str, minutes: float) -> str:
    """A line with a training's CPU minutes and the documented budget of its architecture."""
    row = re.search(rf"^\| `{architecture}` \|.*?budget: (\d+) CPU minutes?", PAGE.read_text(), re.MULTILINE)
    assert row, f"{PAGE} states no budget for {architecture}"
    return f"\n{architecture}: {minutes:.2f} CPU minutes (budget: {row[1]})"
