"""Parse timestamps of the API (RFC 3339), which the API server or any trainer may have written."""

from datetime import datetime


def parse_timestamp(text: str | None, default: datetime) -> datetime:
    """Parse a timestamp; `default` if it is missing, malformed or without a time zone, as a custom trainer may write it."""
    try:
        time = datetime.fromisoformat(text) if text else default
    except ValueError:
        return default
    return time if time.tzinfo else default
