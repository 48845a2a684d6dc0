"""Numbers and names as people read them."""

import re
from typing import Any


def percent(share: float) -> str:
    """Format a share in percent; only 0 and 1 read "0 %" and "100 %"."""
    rounded = round(share * 100)
    if rounded in (0, 100) and share not in (0, 1):
        return "> 99 %" if rounded else "< 1 %"
    return f"{rounded} %"


def percent_range(low: float, high: float, between: str = "to") -> str:
    """Format an interval of shares in percent: "78 to 91 %"."""
    return f"{round(low * 100)} {between} {round(high * 100)} %"


def shown(value: Any) -> str:
    """Format any JSON value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return f"{value:,.0f}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(shown(one) for one in value)
    return "-" if value is None else str(value)


def count(number: int, singular: str, plural: str = "") -> str:
    """Format a number with its noun: "1 box", "2 boxes"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def spaced(name: str) -> str:
    """Format a camelCase name as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def duration(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, hours = round(seconds / 60), seconds / 3600
    return f"{minutes} min" if minutes < 120 else f"{hours:.1f} h"
