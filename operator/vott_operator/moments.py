"""Times as Kubernetes writes them: RFC 3339, in UTC."""

from datetime import datetime


def timestamp(moment: datetime) -> str:
    """With seconds. `moment` is in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str | None, default: datetime) -> datetime:
    """Read one; `default` where there is none."""
    return datetime.fromisoformat(text) if text else default
