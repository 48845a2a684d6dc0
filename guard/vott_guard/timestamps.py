"""Timestamps as Kubernetes writes them: RFC 3339, in UTC, in seconds. Pure."""

from datetime import datetime


def timestamp(time: datetime) -> str:
    """Format `time`, which must be in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
