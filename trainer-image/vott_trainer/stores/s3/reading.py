"""Requests that read objects of listed buckets: presigned with an access key or a role."""

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from vott_trainer.http.fetch import OwnIdentityError
from vott_trainer.http.signing import SignedRequest
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.s3.options import s3_client
from vott_trainer.stores.s3.own_identity import has_identity, is_listed
from vott_trainer.stores.s3.url import S3Location, parse_s3_url

if TYPE_CHECKING:
    import obstore.store

VALID = timedelta(hours=2)  # of a presigned URL; a download takes at most one


class BucketReader:
    """Reads the listed buckets."""

    def __init__(self, access: StorageAccess) -> None:
        self._access, self._lock = access, threading.Lock()
        self._clients: dict[tuple[str, str, str], obstore.store.S3Store] = {}

    def opens(self, url: str) -> bool:
        """Whether a URL, without query, names an object in a listed bucket."""
        location = parse_s3_url(url, self._access.environment)
        return location is not None and bool(location.prefix) and is_listed(location, self._access)

    def sign(self, url: str) -> SignedRequest:
        """Return the request with a signature for this object alone."""
        import obstore
        from obstore.exceptions import BaseError

        location = parse_s3_url(url, self._access.environment)
        if not location or not has_identity(self._access.environment):
            raise OwnIdentityError("this installation has no identity for S3", transient=False)
        try:
            signed = obstore.sign(self._client(location), "GET", location.prefix, VALID)
        except (BaseError, OSError) as error:  # its text may contain a request
            raise OwnIdentityError("the trainer's own identity gets no access to S3", transient=True) from error
        return SignedRequest(signed, authorities=self._access.environment.get("AWS_CA_BUNDLE", ""))

    def _client(self, location: S3Location) -> "obstore.store.S3Store":
        key = location.bucket, location.endpoint, location.region
        with self._lock:
            if key not in self._clients:
                self._clients[key] = s3_client(location, self._access.environment)
            return self._clients[key]
