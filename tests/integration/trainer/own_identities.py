"""The installation's own account, keys and identities in tests, and that account on a test's server."""

from tests.integration.trainer.foreign_urls import HOST
from tests.support.http_server import HttpServer

KEY = "c2VjcmV0"
_ACCOUNT, _, _SUFFIX = HOST.partition(".blob.")
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName={_ACCOUNT};AccountKey={KEY};EndpointSuffix={_SUFFIX}"
# There is no identity provider: using this identity fails with another error than a refusal.
IDENTITY = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_FEDERATED_TOKEN_FILE": "/nowhere/token"}
AWS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "SECRET", "AWS_SESSION_TOKEN": "TOKEN"}
MINIO = {"AWS_ENDPOINT_URL": "https://minio.example:9000"}


def connection_to(server: HttpServer) -> str:
    """The account's connection string, with the test's server in place of Azure's."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={KEY};BlobEndpoint={server.url}/{_ACCOUNT};"
    )
