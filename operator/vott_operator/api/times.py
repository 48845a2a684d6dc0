"""Times as Kubernetes writes them: RFC 3339, in UTC."""

from datetime import datetime


def timestamp(moment: datetime) -> str:
    """With seconds. `moment` is in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str | None, default: datetime) -> datetime:
    """Read one; `default` where there is none, or none that can be read: a trainer of somebody's own may write anything."""
    try:
        found = datetime.fromisoformat(text) if text else default
    except ValueError:
        return default
    return found if found.tzinfo else default
