"""Options of the S3 client: endpoint, region, path style, identity, multipart size, retries, timeouts."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vott_trainer.stores.s3.url import S3Location

if TYPE_CHECKING:
    import obstore.store
    from obstore.store import ClientConfig, RetryConfig

PART_BYTES = 16 << 20  # of a multipart upload, which has at most 10,000 parts
PARALLEL_PARTS = 4
RETRIES: "RetryConfig" = {  # about half a minute in all
    "max_retries": 5,
    "backoff": {"init_backoff": timedelta(seconds=1), "max_backoff": timedelta(seconds=15), "base": 2},
}
_IDENTITY_VARIABLES = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_role_arn",
        "aws_role_session_name",
        "aws_endpoint_url_sts",
        "aws_web_identity_token_file",
    }
)


def s3_client(location: S3Location, environment: Mapping[str, str]) -> "obstore.store.S3Store":
    """Return a client for a bucket with the identity of the AWS_ variables."""
    from obstore.store import S3Store

    config: Any = {name.lower(): value for name, value in environment.items() if name.lower() in _IDENTITY_VARIABLES}
    if location.endpoint:
        config["aws_endpoint"] = location.endpoint
    # A host name with dots in the bucket's part matches no wildcard certificate: use path style.
    virtual_hosted = location.virtual_hosted or (not location.endpoint and "." not in location.bucket)
    return S3Store(
        location.bucket,
        config=config
        | {
            "aws_region": location.region,
            "aws_virtual_hosted_style_request": virtual_hosted,
            "aws_checksum_algorithm": "SHA256",
            "aws_disable_bulk_delete": True,  # its response has no error code
        },
        client_options=_client_options(location, environment),
        retry_config=RETRIES,
    )


def _client_options(location: S3Location, environment: Mapping[str, str]) -> "ClientConfig":
    options: ClientConfig = {
        "allow_http": location.endpoint.startswith("http:"),
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(minutes=5),  # between two bytes, or for sending a part
        "timeout": timedelta(hours=6),  # for a whole object
    }
    if ca_bundle := environment.get("AWS_CA_BUNDLE"):
        options["root_certificate"] = Path(ca_bundle).read_bytes()
    return options
