"""How much CPU time a training took, and how much docs/plugins.md says that it may. Only told: no test fails for being slow."""

import re
import resource
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/plugins.md"


def of_ended_children() -> float:
    """CPU minutes that all programs took which this one started and whose end it has seen, up to now."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


def beside_the_budget(architecture: str, minutes: float) -> str:
    """One line: what a training with the defaults took, and the budget of its row in the documentation."""
    row = re.search(rf"^\| `{architecture}` \|.*?budget: (\d+) CPU minutes?", PAGE.read_text(), re.MULTILINE)
    assert row, f"{PAGE} states no budget for {architecture}"
    return f"\n{architecture} with its defaults: {minutes:.2f} CPU minutes (budget: {row[1]})"
