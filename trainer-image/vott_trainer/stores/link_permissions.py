"""Check what a link itself states: write permission, start and expiry. Anything it does not state is left to its store.

SAS: https://learn.microsoft.com/rest/api/storageservices/create-service-sas - `sr` resource (b blob, c container), `sp` permissions
(r read, w write, c create), `st` start, `se` expiry, `sig` signature.
Presigned URL: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from datetime import UTC, datetime, timedelta

from vott_guard.redaction import redact_url
from vott_trainer.errors import UploadRefusedError
from vott_trainer.stores.store_errors import NEW_LINK, UPLOAD

MAX_CLOCK_SKEW = timedelta(minutes=15)


def check_sas(sas: dict[str, str], url: str, now: datetime) -> None:
    """Check the fields of a SAS.

    Raises:
        UploadRefusedError: it does not permit writing, has expired, or is not valid yet.
    """
    permissions = sas.get("sp")  # absent if a stored access policy holds them
    if permissions is not None and not {"w", "c"} & set(permissions):
        raise _refused(url, f"the link does not permit writing (sp={permissions})")
    if (expiry := _parse_time(sas.get("se", ""))) and expiry <= now:
        raise _expired(url, expiry)
    if (start := _parse_time(sas.get("st", ""))) and start > now + MAX_CLOCK_SKEW:
        raise _refused(url, f"the link is not valid before {start:%Y-%m-%d %H:%M} UTC (st)")


def check_presigned(query: dict[str, str], url: str, now: datetime) -> None:
    """Check a presigned URL of S3 or Google Cloud Storage: signature version 4, or the older version 2.

    Raises:
        UploadRefusedError: it has expired, or was signed for headers that the trainer does not send.
    """
    for prefix in ("X-Amz", "X-Goog"):
        headers = set(query.get(f"{prefix}-SignedHeaders", "host").lower().split(";")) - {"host"}
        if headers:
            names = ", ".join(sorted(headers))
            raise _refused(url, f"the link was signed for the headers {names}; sign it for the host alone")
        _check_expiry(_parse_time(query.get(f"{prefix}-Date", "")), query.get(f"{prefix}-Expires", ""), url, now)
    if "Signature" in query:
        _check_expiry(datetime.fromtimestamp(0, UTC), query.get("Expires", ""), url, now)


def _check_expiry(start: datetime | None, seconds: str, url: str, now: datetime) -> None:
    if not start or not seconds.isdecimal() or len(seconds) >= 12:
        return
    if (expiry := start + timedelta(seconds=int(seconds))) <= now:
        raise _expired(url, expiry)


def _expired(url: str, expiry: datetime) -> UploadRefusedError:
    return _refused(url, f"the link expired at {expiry:%Y-%m-%d %H:%M} UTC")


def _refused(url: str, reason: str) -> UploadRefusedError:
    return UploadRefusedError(f"{UPLOAD} {redact_url(url)} would be refused (HTTP 403): {reason}. {NEW_LINK}")


def _parse_time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None  # left to the store
    return time if time.tzinfo else time.replace(tzinfo=UTC)
