"""Where a queue's credentials come from, and the errors when they can't be used."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.secret_mount import mount_secret
from vott_messaging.errors import SettingsError
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.service_bus.authentication import service_bus_client, service_bus_host
from vott_messaging.queues.storage.authentication import storage_client
from vott_messaging.queues.workload_identity import WorkloadIdentity
from vott_messaging.settings.queue import QueueSettings

KEY = "U0VDUkVU"
CONNECTION_STRING = f"AccountName=acme;AccountKey={KEY};EndpointSuffix=core.windows.net;DefaultEndpointsProtocol=https"
BUS = f"Endpoint=sb://Acme-Bus.servicebus.windows.net/;SharedAccessKeyName=train;SharedAccessKey={KEY}"
STORAGE = QueueSettings(name="cats")
SERVICE_BUS = QueueSettings(kind="serviceBus", name="cats")


def secret(folder: Path, **variables: str) -> Credentials:
    return Credentials(mount_secret(folder, variables))


def open_client(queue: QueueSettings, credentials: Credentials) -> object:
    if queue.kind == "serviceBus":
        return service_bus_client(queue, credentials)
    return storage_client(queue, credentials, queue.name)


# ----------------------------------------------------------------------------------------------------- where from


def test_a_mounted_secret_replaces_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "from the environment")
    credentials = secret(tmp_path, AZURE_STORAGE_KEY="from the Secret\n")
    assert credentials.get("AZURE_STORAGE_KEY") == "from the Secret"
    assert credentials.get("AZURE_STORAGE_SAS_TOKEN") is None
    assert Credentials(None).get("AZURE_STORAGE_SAS_TOKEN") == "from the environment"


def test_an_empty_variable_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", " ")
    assert Credentials(None).get("AZURE_STORAGE_KEY") is None
    assert secret(tmp_path, AZURE_STORAGE_KEY="\n").get("AZURE_STORAGE_KEY") is None


def test_a_changed_secret_is_read_again_and_changes_the_fingerprint(tmp_path: Path) -> None:
    credentials = secret(tmp_path, AZURE_STORAGE_KEY="one")
    before = credentials.fingerprint()
    assert credentials.fingerprint() == before
    secret(tmp_path, AZURE_STORAGE_KEY="two")
    assert credentials.get("AZURE_STORAGE_KEY") == "two"
    assert credentials.fingerprint() != before


def test_an_error_names_a_variable_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "AZURE_STORAGE_KEY").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=f"AZURE_STORAGE_KEY in {tmp_path} can't be read: it is not UTF-8 text"):
        Credentials(tmp_path).get("AZURE_STORAGE_KEY")


def test_an_error_names_a_secret_that_is_not_mounted_and_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"mounted at {tmp_path}/none has no credentials; set AZURE_STORAGE_CONN"):
        storage_client(STORAGE, Credentials(tmp_path / "none"), "cats")


# ----------------------------------------------------------------------------------------------------------- clients


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"AZURE_STORAGE_CONNECTION_STRING": CONNECTION_STRING}, "https://acme.queue.core.windows.net/cats"),
        (
            {"AZURE_STORAGE_CONNECTION_STRING": CONNECTION_STRING, "AZURE_STORAGE_ACCOUNT_NAME": "other"},
            "https://acme.queue.core.windows.net/cats",
        ),
        ({"AZURE_STORAGE_ACCOUNT_NAME": "acme", "AZURE_STORAGE_KEY": KEY}, "https://acme.queue.core.windows.net/cats"),
        ({"AZURE_STORAGE_ACCOUNT_NAME": "acme", "AZURE_STORAGE_SAS_TOKEN": "?sig=x"}, "https://acme.queue.core.windows.net/cats"),
        ({"AZURE_STORAGE_ACCOUNT_NAME": "acme"}, "https://acme.queue.core.windows.net/cats"),
    ],
    ids=["connection-string", "connection-string-first", "key", "sas", "workload-identity"],
)  # fmt: skip
def test_the_url_of_a_storage_queue_comes_from_its_credentials(
    variables: dict[str, str], url: str, tmp_path: Path
) -> None:
    assert storage_client(STORAGE, secret(tmp_path, **variables), "cats").url == url


def test_the_account_may_be_a_setting_and_the_secret_hold_only_the_key(tmp_path: Path) -> None:
    credentials = secret(tmp_path, AZURE_STORAGE_KEY=KEY)
    assert storage_client(QueueSettings(account="acme"), credentials, "cats").account_name == "acme"
    emulator = QueueSettings(account="http://127.0.0.1:1/devstoreaccount1")
    assert storage_client(emulator, credentials, "cats").credential.account_name == "devstoreaccount1"


@pytest.mark.parametrize(
    ("account", "variables", "name"),
    [
        ("https://acme.queue.core.chinacloudapi.cn", {}, "acme"),
        ("https://acme.queue.core.windows.net/", {"AZURE_STORAGE_ACCOUNT_NAME": "other"}, "acme"),
        ("https://acme-secondary.queue.core.windows.net", {}, "acme"),
        ("https://acme.privatelink.queue.core.windows.net", {}, "acme"),
        ("https://acme.z01.queue.storage.azure.net", {}, "acme"),
        ("https://queues.acme.net", {"AZURE_STORAGE_ACCOUNT_NAME": "acme"}, "acme"),
        ("http://azurite.store.svc:10001/devstoreaccount1", {"AZURE_STORAGE_ACCOUNT_NAME": "other"}, "devstoreaccount1"),
        ("", {"AZURE_STORAGE_ACCOUNT_NAME": "https://acme.queue.core.chinacloudapi.cn"}, "acme"),
    ],
)  # fmt: skip
def test_a_key_signs_with_the_account_name_in_the_url(
    account: str, variables: dict[str, str], name: str, tmp_path: Path
) -> None:
    credentials = secret(tmp_path, AZURE_STORAGE_KEY=KEY, **variables)
    assert storage_client(QueueSettings(account=account), credentials, "cats").credential.account_name == name


@pytest.mark.parametrize(
    ("variables", "settings", "host"),
    [
        ({"AZURE_SERVICE_BUS_CONNECTION_STRING": BUS}, {}, "acme-bus.servicebus.windows.net"),
        ({"AZURE_SERVICE_BUS_NAMESPACE": "Acme-Bus"}, {}, "acme-bus.servicebus.windows.net"),
        ({"AZURE_SERVICE_BUS_NAMESPACE": "sb://acme-bus.x.cn/"}, {}, "acme-bus.x.cn"),
        ({}, {"serviceBusNamespace": "acme-bus"}, "acme-bus.servicebus.windows.net"),
        (
            {"AZURE_SERVICE_BUS_CONNECTION_STRING": BUS},
            {"serviceBusNamespace": "acme-bus"},
            "acme-bus.servicebus.windows.net",
        ),
    ],
)
def test_the_host_of_a_service_bus_queue_comes_from_its_credentials(
    variables: dict[str, str], settings: dict[str, str], host: str, tmp_path: Path
) -> None:
    queue = QueueSettings.model_validate({"kind": "serviceBus", "name": "cats"} | settings)
    credentials = secret(tmp_path, **variables)
    assert service_bus_host(queue, credentials) == host
    assert service_bus_client(queue, credentials).fully_qualified_namespace.lower() == host


@pytest.mark.parametrize(
    ("variables", "credential"),
    [
        (
            {"AZURE_SERVICE_BUS_ACCESS_KEY_NAME": "train", "AZURE_SERVICE_BUS_ACCESS_KEY_VALUE": KEY},
            "AzureNamedKeyCredential",
        ),
        ({"AZURE_SERVICE_BUS_SAS_TOKEN": "SharedAccessSignature sr=x"}, "AzureSasCredential"),
        ({}, WorkloadIdentity.__name__),
    ],
    ids=["key", "sas", "workload-identity"],
)
def test_a_service_bus_client_uses_the_configured_credential(
    variables: dict[str, str], credential: str, tmp_path: Path
) -> None:
    credentials = secret(tmp_path, AZURE_SERVICE_BUS_NAMESPACE="acme-bus", **variables)
    client: Any = service_bus_client(SERVICE_BUS, credentials)
    assert type(client._credential).__name__ == credential


@pytest.mark.parametrize(
    ("settings", "variables", "expected"),
    [
        ({}, {}, "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_KEY (or AZURE_STORAGE_SAS_TOKEN, or a workload identity)"),
        ({}, {"AZURE_STORAGE_KEY": KEY}, "has no credentials; set AZURE_STORAGE_CONNECTION_STRING"),
        ({}, {"AZURE_STORAGE_CONNECTION_STRING": "QueueEndpoint=https://acme.net"}, "with an AccountKey or a SharedAccessSignature"),
        ({}, {"AZURE_STORAGE_CONNECTION_STRING": "SECRET"}, "is not a storage account's connection string"),
        ({}, {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=acme;AccountKey=SECRET!"}, "is not an account key"),
        ({}, {"AZURE_STORAGE_ACCOUNT_NAME": "acme", "AZURE_STORAGE_KEY": "SECRET!"}, "AZURE_STORAGE_KEY is not an account key"),
        (
            {"account": "https://queues.acme.net"},
            {"AZURE_STORAGE_KEY": KEY},
            "account is https://queues.acme.net, which doesn't contain the account's name for AZURE_STORAGE_KEY; set"
            " AZURE_STORAGE_ACCOUNT_NAME too (check ",
        ),
        ({"account": "other"}, {"AZURE_STORAGE_CONNECTION_STRING": CONNECTION_STRING}, "account is other, but AZURE_STORAGE"),
        (
            {"account": "https://acme.queue.core.chinacloudapi.cn"},
            {"AZURE_STORAGE_CONNECTION_STRING": CONNECTION_STRING},
            "account is https://acme.queue.core.chinacloudapi.cn, but AZURE_STORAGE_CONNECTION_STRING is for acme",
        ),
        ({"kind": "serviceBus"}, {}, "AZURE_SERVICE_BUS_NAMESPACE with AZURE_SERVICE_BUS_ACCESS_KEY_NAME"),
        ({"kind": "serviceBus"}, {"AZURE_SERVICE_BUS_CONNECTION_STRING": "SECRET"}, "is not a Service Bus namespace's connection string"),
        ({"kind": "serviceBus"}, {"AZURE_SERVICE_BUS_CONNECTION_STRING": f"{BUS};EntityPath=dogs"}, "is for queue dogs only"),
        (
            {"kind": "serviceBus", "serviceBusNamespace": "other-bus"},
            {"AZURE_SERVICE_BUS_CONNECTION_STRING": BUS},
            "serviceBusNamespace is other-bus.servicebus.windows.net, but",
        ),
        (
            {"kind": "serviceBus", "serviceBusNamespace": "acme-bus"},
            {"AZURE_SERVICE_BUS_ACCESS_KEY_NAME": "train"},
            "has no AZURE_SERVICE_BUS_ACCESS_KEY_VALUE; an access key has a name and a value",
        ),
    ],
)  # fmt: skip
def test_an_error_names_unusable_credentials_and_never_shows_them(
    settings: dict[str, str], variables: dict[str, str], expected: str, tmp_path: Path
) -> None:
    queue = QueueSettings.model_validate({"name": "cats"} | settings)
    credentials = secret(tmp_path, **variables)
    with pytest.raises(SettingsError) as caught:
        open_client(queue, credentials)
    text = str(caught.value)
    assert expected in text
    assert text.startswith(queue.place)
    assert "SECRET" not in text
    assert KEY not in text
