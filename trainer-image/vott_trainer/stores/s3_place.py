"""What the URLs of S3 mean: `s3://BUCKET/PREFIX`, and http(s) with the bucket in the path or in the host's name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_AMAZON = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3[.-](?:dualstack\.)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.)?amazonaws\.com(?:\.cn)?"
)


@dataclass(frozen=True)
class Place:
    """What `url` (without a query) means: bucket, prefix, and its server; `endpoint` is empty for Amazon's of that region."""

    url: str
    bucket: str
    prefix: str
    endpoint: str
    region: str
    bucket_in_host: bool = False


def place_of(url: str, environment: Mapping[str, str]) -> Place | None:
    """Return what an `s3://` or http(s) URL without a query means; None where it is no URL of the administrator's S3.

    With AWS_ENDPOINT_URL that server is meant, and Amazon's are not: a bucket of the same name may be anybody's there.
    """
    parts = urlsplit(url)
    endpoint = (environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or "").rstrip("/")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    path = unquote(parts.path).strip("/")
    if parts.scheme == "s3":
        return Place(url, parts.netloc, path, endpoint, region)
    if endpoint:
        return _on_server(urlsplit(endpoint).netloc, urlsplit(endpoint).scheme, url, path, region)
    if parts.scheme == "https" and (amazon := _AMAZON.fullmatch(parts.netloc.lower())):
        return _on_host(amazon["bucket"] or "", url, path, amazon["region"] or region)
    return None


def _on_server(server: str, scheme: str, url: str, path: str, region: str) -> Place | None:
    parts = urlsplit(url)
    host = parts.netloc.lower()
    if parts.scheme != scheme or not (host == server.lower() or host.endswith(f".{server.lower()}")):
        return None
    return _on_host(host.removesuffix(server.lower()).removesuffix("."), url, path, region)


def _on_host(bucket_in_host: str, url: str, path: str, region: str) -> Place:
    parts = urlsplit(url)
    endpoint = f"{parts.scheme}://{parts.netloc}"
    if bucket_in_host:
        return Place(url, bucket_in_host, path, endpoint, region, bucket_in_host=True)
    bucket, _, prefix = path.partition("/")
    return Place(url, bucket, prefix, endpoint, region)
