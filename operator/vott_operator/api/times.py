"""Times as Kubernetes writes them: RFC 3339, in UTC."""

from datetime import datetime


def timestamp(time: datetime) -> str:
    """Format `time`, which is in UTC, with a resolution of seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str | None, default: datetime) -> datetime:
    """Parse a timestamp; `default` if it is missing, malformed or without a time zone, as a custom trainer may write it."""
    try:
        time = datetime.fromisoformat(text) if text else default
    except ValueError:
        return default
    return time if time.tzinfo else default
