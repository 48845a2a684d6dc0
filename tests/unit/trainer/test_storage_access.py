"""The administrator's storage identities and lists, read from the environment."""

from vott_trainer.stores.access import StorageAccess

ACCOUNT = "https://team.blob.core.windows.net"
CONNECTION = "DefaultEndpointsProtocol=https;AccountName=team;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "SECRET"}


def test_access_is_read_from_the_environment_and_its_repr_has_no_secrets() -> None:
    environment = {
        "AZURE_STORAGE_CONNECTION_STRING": CONNECTION,
        "VOTT_MODEL_CONTAINERS": f"a, {ACCOUNT}/b/,",
        "VOTT_MODEL_BUCKETS": "s3://c/d/, e",
        **KEYS,
        "PATH": "/bin",
    }
    access = StorageAccess.from_environment(environment)
    assert access == StorageAccess(CONNECTION, frozenset({"a", f"{ACCOUNT}/b"}), frozenset({"c/d", "e"}))
    assert "PATH" not in access.environment
    assert "SECRET" not in repr(access)
    assert "c2VjcmV0" not in repr(access)
