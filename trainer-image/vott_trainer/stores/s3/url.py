"""URLs of S3: `s3://BUCKET/PREFIX`, and http(s) with the bucket in the path or in the host name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_AMAZON = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3[.-](?:dualstack\.)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.)?amazonaws\.com(?:\.cn)?"
)


@dataclass(frozen=True)
class S3Location:
    """A bucket and prefix.

    Attributes:
        url: without query.
        bucket: its name.
        prefix: may be empty.
        endpoint: the server; empty: Amazon's server of the region.
        region: of the bucket.
        virtual_hosted: whether the host name holds the bucket (virtual-hosted style), not the path (path style).
    """

    url: str
    bucket: str
    prefix: str
    endpoint: str
    region: str
    virtual_hosted: bool = False


def parse_s3_url(url: str, environment: Mapping[str, str]) -> S3Location | None:
    """Parse an `s3://` or http(s) URL without query; None if it is not of the administrator's S3.

    AWS_ENDPOINT_URL replaces Amazon's servers, where a bucket of the same name may belong to anyone.
    """
    parts = urlsplit(url)
    endpoint = (environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or "").rstrip("/")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    path = unquote(parts.path).strip("/")
    if parts.scheme == "s3":
        return S3Location(url, parts.netloc, path, endpoint, region)
    if endpoint:
        return _at_endpoint(urlsplit(endpoint).netloc, urlsplit(endpoint).scheme, url, path, region)
    if parts.scheme == "https" and (amazon := _AMAZON.fullmatch(parts.netloc.lower())):
        return _location(amazon["bucket"] or "", url, path, amazon["region"] or region)
    return None


def as_http_url(url: str, environment: Mapping[str, str]) -> str:
    """Return the http(s) URL of an `s3://` URL, at the administrator's server or Amazon's; any other URL unchanged."""
    parts = urlsplit(url)
    location = parse_s3_url(url, environment) if parts.scheme == "s3" else None
    if not location:
        return url
    server = location.endpoint or f"https://s3.{location.region}.amazonaws.com"
    return f"{server}/{location.bucket}/{parts.path.lstrip('/')}"


def _at_endpoint(server: str, scheme: str, url: str, path: str, region: str) -> S3Location | None:
    parts = urlsplit(url)
    host = parts.netloc.lower()
    if parts.scheme != scheme or not (host == server.lower() or host.endswith(f".{server.lower()}")):
        return None
    return _location(host.removesuffix(server.lower()).removesuffix("."), url, path, region)


def _location(bucket_in_host: str, url: str, path: str, region: str) -> S3Location:
    parts = urlsplit(url)
    endpoint = f"{parts.scheme}://{parts.netloc}"
    if bucket_in_host:
        return S3Location(url, bucket_in_host, path, endpoint, region, virtual_hosted=True)
    bucket, _, prefix = path.partition("/")
    return S3Location(url, bucket, prefix, endpoint, region)
