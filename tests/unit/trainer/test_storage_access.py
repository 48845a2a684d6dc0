"""The administrator's storage identities and lists, read from the environment."""

import contextlib

import pytest

from vott_guard.rules import Rules
from vott_trainer.command_line import parse
from vott_trainer.errors import AddressRefusedError
from vott_trainer.settings import TrainSettings
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.own_data import OwnData
from vott_trainer.stores.s3.url import as_http_url

ACCOUNT = "https://team.blob.core.windows.net"
CONNECTION = "DefaultEndpointsProtocol=https;AccountName=team;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "SECRET"}


def test_access_is_read_from_the_environment_and_its_repr_has_no_secrets() -> None:
    environment = {
        "AZURE_STORAGE_CONNECTION_STRING": CONNECTION,
        "VOTT_MODEL_CONTAINERS": f"a, {ACCOUNT}/b/,",
        "VOTT_MODEL_BUCKETS": "s3://c/d/, e",
        "VOTT_DATA_CONTAINERS": "f",
        "VOTT_DATA_BUCKETS": "g",
        **KEYS,
        "PATH": "/bin",
    }
    access = StorageAccess.from_environment(environment)
    assert access == StorageAccess(
        CONNECTION,
        frozenset({"a", f"{ACCOUNT}/b"}),
        frozenset({"c/d", "e"}),
        data_containers=frozenset({"f"}),
        data_buckets=frozenset({"g"}),
    )
    assert "PATH" not in access.environment
    assert "SECRET" not in repr(access)
    assert "c2VjcmV0" not in repr(access)


def test_what_may_be_written_may_be_read_and_not_the_other_way_round() -> None:
    access = StorageAccess.from_environment(
        {
            "VOTT_MODEL_CONTAINERS": "models",
            "VOTT_DATA_CONTAINERS": "data",
            "VOTT_MODEL_BUCKETS": "models",
            "VOTT_DATA_BUCKETS": "data",
        }
    )
    reading = access.to_read()
    assert all(reading.allows_container(name) and reading.allows_bucket(name) for name in ("models", "data"))
    assert not access.allows_container("data")
    assert not access.allows_bucket("data")


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "https://s3.us-east-1.amazonaws.com/data/cats/a%20b.csv"),
        ({"AWS_REGION": "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com/data/cats/a%20b.csv"),
        ({"AWS_ENDPOINT_URL": "http://minio:9000/"}, "http://minio:9000/data/cats/a%20b.csv"),
    ],
)
def test_s3_url_is_requested_from_its_server(environment: dict[str, str], url: str) -> None:
    assert as_http_url("s3://data/cats/a%20b.csv", environment) == url
    assert as_http_url(url, environment) == url
    data = StorageAccess.from_environment({"VOTT_DATA_BUCKETS": "data/cats", **KEYS, **environment})
    assert OwnData(data).opens(url)


@pytest.mark.parametrize(
    ("lists", "is_allowed"), [({}, False), ({"VOTT_DATA_BUCKETS": "data"}, True), ({"VOTT_DATA_BUCKETS": "d"}, False)]
)
def test_rules_do_not_apply_to_the_administrators_own_data(lists: dict[str, str], is_allowed: bool) -> None:
    environment = {**KEYS, "AWS_ENDPOINT_URL": "http://10.0.0.5:9000", **Rules().to_environment(), **lists}
    with contextlib.nullcontext() if is_allowed else pytest.raises(AddressRefusedError):
        settings = parse(["--annotations", "s3://data/a.csv", "--model", "/models/"], environment)
        assert isinstance(settings, TrainSettings)
        assert settings.annotations == "http://10.0.0.5:9000/data/a.csv"
