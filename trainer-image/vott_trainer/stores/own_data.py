"""Annotations and images in the administrator's containers and buckets, read with the installation's identities (docs/destinations.md).

Only of the lists, and only for a URL that carries no permission of its own: the owner of a link's permission is unknown.
"""

from urllib.parse import urldefrag, urlsplit

from vott_guard.urls import HTTP_OR_S3, has_unsafe_characters, has_user_info, is_url
from vott_trainer.http.fetch import OwnIdentityError
from vott_trainer.http.signing import SignedRequest
from vott_trainer.stores.access import DATA_SETTING, StorageAccess
from vott_trainer.stores.azure.reading import AccountReader, TokenReader
from vott_trainer.stores.s3.reading import BucketReader

Reader = AccountReader | TokenReader | BucketReader


class OwnData:
    """Signs requests for the listed containers and buckets."""

    def __init__(self, access: StorageAccess) -> None:
        readable = access.to_read()
        self._readers: tuple[Reader, ...] = (AccountReader(readable), TokenReader(readable), BucketReader(readable))

    def opens(self, url: str) -> bool:
        """Whether the identities are used for a URL."""
        return self._reader(url) is not None

    def __call__(self, url: str) -> SignedRequest | None:
        """Return the signed request for a URL; None if the identities are not used for it.

        Raises:
            FetchError: no identity, or none that is accepted; or a bucket that is not listed.
        """
        if reader := self._reader(url):
            return reader.sign(urldefrag(url).url)
        if urlsplit(url).scheme == "s3":
            raise OwnIdentityError(f"the bucket is not listed in {DATA_SETTING}", transient=False)
        return None

    def _reader(self, url: str) -> Reader | None:
        if has_unsafe_characters(url) or not is_url(url, HTTP_OR_S3):
            return None
        parts = urlsplit(url)
        if parts.query or has_user_info(parts):
            return None
        return next((reader for reader in self._readers if reader.opens(urldefrag(url).url)), None)
