"""What a link says of itself: whether it permits writing, and until when. A link that says nothing is left to its store.

A SAS's fields: https://learn.microsoft.com/rest/api/storageservices/create-service-sas - `sr` what it covers (b a blob, c a container),
`sp` what it permits (r read, w write, c create), `st` and `se` from when until when it is valid, `sig` the signature.
A presigned link's: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from datetime import UTC, datetime, timedelta

from vott_guard.redaction import redact_url
from vott_trainer.errors import UploadRefusedError
from vott_trainer.stores.messages import NEW_LINK, UPLOAD

CLOCKS_DIFFER = timedelta(minutes=15)


def check_sas(sas: dict[str, str], url: str, now: datetime) -> None:
    """Check the fields of a SAS.

    Raises:
        UploadRefusedError: it does not permit writing, has expired, or is not valid yet.
    """
    permissions = sas.get("sp")  # absent where a stored access policy holds them
    if permissions is not None and not {"w", "c"} & set(permissions):
        raise _refused(url, f"the link does not permit writing (sp={permissions})")
    if (expiry := _time(sas.get("se", ""))) and expiry <= now:
        raise _expired(url, expiry)
    if (start := _time(sas.get("st", ""))) and start > now + CLOCKS_DIFFER:
        raise _refused(url, f"the link is not valid before {start:%Y-%m-%d %H:%M} UTC (st)")


def check_presigned(query: dict[str, str], url: str, now: datetime) -> None:
    """Check a presigned link of S3 or Google Cloud Storage: version 4 of either signature, or the older version 2.

    Raises:
        UploadRefusedError: it has expired, or was signed for headers that the trainer does not send.
    """
    for kind in ("X-Amz", "X-Goog"):
        headers = set(query.get(f"{kind}-SignedHeaders", "host").lower().split(";")) - {"host"}
        if headers:
            what = f"the link was signed for the headers {', '.join(sorted(headers))}; sign it for the host alone"
            raise _refused(url, what)
        _check_expiry(_time(query.get(f"{kind}-Date", "")), query.get(f"{kind}-Expires", ""), url, now)
    if "Signature" in query:
        _check_expiry(datetime.fromtimestamp(0, UTC), query.get("Expires", ""), url, now)


def _check_expiry(start: datetime | None, seconds: str, url: str, now: datetime) -> None:
    if (
        start
        and seconds.isdecimal()
        and len(seconds) < 12
        and (expiry := start + timedelta(seconds=int(seconds))) <= now
    ):
        raise _expired(url, expiry)


def _expired(url: str, expiry: datetime) -> UploadRefusedError:
    return _refused(url, f"the link expired at {expiry:%Y-%m-%d %H:%M} UTC")


def _refused(url: str, why: str) -> UploadRefusedError:
    return UploadRefusedError(f"{UPLOAD} {redact_url(url)} would be refused (HTTP 403): {why}. {NEW_LINK}")


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None  # let the store judge it
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
