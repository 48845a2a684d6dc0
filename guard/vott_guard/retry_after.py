"""The header Retry-After (RFC 9110, section 10.2.3). Pure but for the clock."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime


def retry_after_seconds(header: str | None, longest: float, clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that a server asks to wait, 0 to `longest`; None if the header is absent or unreadable.

    Args:
        header: a number of seconds, or a date.
        longest: the maximum, because the server is not trusted.
        clock: returns seconds since 1970.
    """
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp() - clock()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), longest)
