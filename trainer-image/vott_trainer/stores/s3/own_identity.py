"""Open a bucket with the pod's own identity: an access key or a role."""

import re
from collections.abc import Mapping

from vott_guard.redaction import redact_url
from vott_trainer.errors import InvalidURLError, UploadRefusedError
from vott_trainer.stores.access import BUCKETS_SETTING, StorageAccess
from vott_trainer.stores.object_names import is_plain_path
from vott_trainer.stores.s3.options import s3_client
from vott_trainer.stores.s3.store import S3Store
from vott_trainer.stores.s3.url import S3Location

_BUCKET_NAME = re.compile(r"[A-Za-z0-9._-]+")
_IDENTITIES = (
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
)


def has_identity(environment: Mapping[str, str]) -> bool:
    """Whether the pod has an access key or a role."""
    return any(all(environment.get(name) for name in names) for names in _IDENTITIES)


def is_listed(location: S3Location, access: StorageAccess) -> bool:
    """Whether the location names a bucket that the administrator has listed, and does not lead out of it."""
    path = f"{location.bucket}/{location.prefix}".rstrip("/")
    return bool(_BUCKET_NAME.fullmatch(location.bucket)) and is_plain_path(path) and access.allows_bucket(path)


def open_bucket(location: S3Location, access: StorageAccess, *, must_be_listed: bool = True) -> S3Store:
    """Open a bucket and prefix.

    Args:
        location: the bucket and prefix.
        access: the administrator's identities and lists.
        must_be_listed: whether the administrator must have listed the bucket; required for any URL of a message.

    Raises:
        InvalidURLError: the URL names no bucket.
        UploadRefusedError: the bucket is not listed, or there is no identity.
    """
    path = f"{location.bucket}/{location.prefix}".rstrip("/")
    if not _BUCKET_NAME.fullmatch(location.bucket) or not is_plain_path(path):
        raise InvalidURLError("--model: the S3 URL names no bucket, or has an empty part. Use s3://BUCKET/PREFIX.")
    if must_be_listed and not access.allows_bucket(path):
        raise UploadRefusedError(
            f"Bucket {path!r} is not among those that models may go to without a presigned link. "
            f"Send a presigned link, or ask the administrator to list the bucket in {BUCKETS_SETTING}."
        )
    if not has_identity(access.environment):
        raise UploadRefusedError(
            f"This installation has no identity to write to s3://{path}. "
            "Send a presigned link, or ask the administrator to set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return S3Store(redact_url(location.url).rstrip("/"), location.prefix, s3_client(location, access.environment))
