"""Every kind of storage credential, with the real client against Azurite; rotation of Secrets; workload identity."""

import asyncio
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import (
    QueueClient,
    QueueSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_queue_sas,
)

from localcluster.azurite import ACCOUNT, ACCOUNT_KEY, Azurite
from localcluster.control_plane import ControlPlane
from localcluster.pki import Authority
from tests.support.entra import CLIENT, RESOURCE, Entra
from tests.support.examples import MESSAGE
from tests.support.operator_harness import RELEASE, OperatorHarness
from tests.support.secret_mount import mount_secret
from tests.support.waiting import wait_until
from vott_messaging.errors import SourceUnavailableError
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.storage.queue import StorageQueue
from vott_messaging.settings.queue import QueueSettings

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
"""Lifetime of SAS that are created at collection; longer than any test run."""
OTHER_KEY = "b3RoZXIga2V5"


def account_sas(lifetime: timedelta = DAY, permissions: str = "rwdlacup") -> str:
    return generate_account_sas(
        ACCOUNT,
        ACCOUNT_KEY,
        ResourceTypes(service=True, container=True, object=True),
        permissions,
        datetime.now(UTC) + lifetime,
    )


def queue_sas(queue: str) -> str:
    permission = QueueSasPermissions(read=True, add=True, update=True, process=True)
    return generate_queue_sas(ACCOUNT, queue, ACCOUNT_KEY, permission, datetime.now(UTC) + DAY)


def connection_string(azurite: Azurite, sas: str) -> str:
    return f"QueueEndpoint={azurite.queue_service};SharedAccessSignature={sas}"


@pytest.fixture
def queue(azurite: Azurite) -> Iterator[QueueClient]:
    """A queue with one message."""
    with QueueClient.from_connection_string(azurite.connection_string, f"auth-{secrets.token_hex(6)}") as client:
        client.create_queue()
        client.send_message("hello")
        yield client


def source(azurite: Azurite, queue: QueueClient, folder: Path, named: bool = False) -> StorageQueue:
    """The queue with the folder's credentials; `named` sets its account, for credentials that do not contain it."""
    settings = QueueSettings(name=queue.queue_name, account=azurite.queue_service if named else "")
    return StorageQueue(settings, Credentials(folder))


@pytest.mark.parametrize("how", ["connection string", "name and key", "account SAS", "SAS token", "queue SAS"])
async def test_a_message_is_received_and_completed_with_each_kind_of_credentials(
    how: str, azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    ways = {
        "connection string": {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string},
        "name and key": {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_KEY": ACCOUNT_KEY},
        "account SAS": {"AZURE_STORAGE_CONNECTION_STRING": connection_string(azurite, account_sas())},
        "SAS token": {"AZURE_STORAGE_SAS_TOKEN": f"?{account_sas()}"},
        "queue SAS": {"AZURE_STORAGE_CONNECTION_STRING": connection_string(azurite, queue_sas(queue.queue_name))},
    }
    source_queue = source(
        azurite, queue, mount_secret(tmp_path, ways[how]), named="CONNECTION" not in next(iter(ways[how]))
    )
    assert source_queue.identity == f"storage://127.0.0.1:{azurite.queue_port}/{ACCOUNT}/{queue.queue_name}"
    (delivery,) = await source_queue.receive(1, 0)
    assert delivery.body == b"hello"
    await source_queue.renew_lock(delivery)
    await source_queue.complete(delivery)
    await source_queue.close()
    assert queue.get_queue_properties().approximate_message_count == 0


@pytest.mark.parametrize(
    ("variables", "remedy"),
    [
        ({"AZURE_STORAGE_KEY": OTHER_KEY}, "the key or SAS in the Secret mounted at"),
        ({"AZURE_STORAGE_SAS_TOKEN": account_sas(-HOUR)}, "is wrong, revoked or expired; replace it"),
        ({"AZURE_STORAGE_SAS_TOKEN": account_sas(permissions="r")}, "a SAS needs read, add, create, update"),
    ],
    ids=["wrong key", "expired SAS", "SAS without permission"],
)  # fmt: skip
async def test_refused_credentials_are_an_error_with_the_remedy(
    variables: dict[str, str], remedy: str, azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    source_queue = source(azurite, queue, mount_secret(tmp_path, variables), named=True)
    with pytest.raises(SourceUnavailableError) as caught:
        await source_queue.receive(1, 0)
    await source_queue.close()
    assert remedy in str(caught.value)
    assert queue.queue_name in str(caught.value)
    assert all(value not in str(caught.value) for value in variables.values())


async def test_a_changed_secret_is_used_for_locked_messages_too(
    azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    source_queue = source(azurite, queue, mount_secret(tmp_path, {"AZURE_STORAGE_KEY": ACCOUNT_KEY}), named=True)
    (delivery,) = await source_queue.receive(1, 0)
    mount_secret(tmp_path, {"AZURE_STORAGE_KEY": OTHER_KEY})
    with pytest.raises(SourceUnavailableError, match="AuthenticationFailed"):
        await source_queue.complete(delivery)
    mount_secret(tmp_path, {"AZURE_STORAGE_SAS_TOKEN": account_sas()})
    await source_queue.complete(delivery)
    await source_queue.close()
    assert queue.get_queue_properties().approximate_message_count == 0


async def test_requests_in_flight_succeed_while_a_secret_changes(
    azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    variables = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
    source_queue = source(azurite, queue, mount_secret(tmp_path, variables))
    for number in range(31):
        queue.send_message(str(number))
    deliveries = await source_queue.receive(32, 0)
    settling = []
    for number, delivery in enumerate(deliveries):
        mount_secret(tmp_path, variables)
        settling.append(
            asyncio.create_task(source_queue.renew_lock(delivery) if number % 2 else source_queue.complete(delivery))
        )
        await asyncio.sleep(0)
    await asyncio.gather(*settling)
    await asyncio.gather(*(source_queue.complete(delivery) for delivery in deliveries[1::2]))
    await source_queue.close()
    assert queue.get_queue_properties().approximate_message_count == 0


async def test_a_temporarily_broken_secret_does_not_stop_the_intake(
    azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    source_queue = source(
        azurite, queue, mount_secret(tmp_path, {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string})
    )
    for broken in ({}, {"AZURE_STORAGE_CONNECTION_STRING": "nonsense"}):
        mount_secret(tmp_path, broken)
        with pytest.raises(SourceUnavailableError, match="AZURE_STORAGE_CONNECTION_STRING"):
            await source_queue.receive(1, 0)
    mount_secret(tmp_path, {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string})
    assert len(await source_queue.receive(1, 0)) == 1
    await source_queue.close()


async def test_credentials_of_another_account_are_refused(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> None:
    source_queue = source(
        azurite, queue, mount_secret(tmp_path, {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string})
    )
    other_account = f"AccountName=other;AccountKey={OTHER_KEY}"
    mount_secret(tmp_path, {"AZURE_STORAGE_CONNECTION_STRING": other_account})
    with pytest.raises(
        SourceUnavailableError, match="the credentials are now for another account; restart the operator"
    ):
        await source_queue.receive(1, 0)
    await source_queue.close()


# ---------------------------------------------------------------------------------------------------- the operator


def wait_settled(harness: OperatorHarness, count: int) -> None:
    def probe() -> bool:
        return len(harness.trainingjobs()) == count and harness.waiting_messages() == 0

    wait_until(f"{count} TrainingJobs and an empty queue", probe, seconds=60, dump=harness.diagnostics)


def wait_event(harness: OperatorHarness, reason: str, pod: str) -> None:
    """Wait for an Event about an operator's pod."""

    def probe() -> bool:
        events = harness.kubectl.list("events")
        return (reason, "Pod", pod) in [
            (item["reason"], item["involvedObject"]["kind"], item["involvedObject"]["name"]) for item in events
        ]

    wait_until(f"an Event {reason}", probe, seconds=60, dump=harness.log.read_text)


def test_a_running_operator_uses_a_new_key_after_the_old_one_is_revoked(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Azurite() as azurite, OperatorHarness(control_plane, azurite, f"rotation-{secrets.token_hex(4)}") as harness:
        operator = harness.operator()
        harness.send(MESSAGE)
        wait_settled(harness, 1)

        monkeypatch.setenv("AZURITE_ACCOUNTS", f"{ACCOUNT}:{OTHER_KEY}")
        azurite.restart()
        wait_until("the refusal", lambda: "AuthenticationFailed" in harness.log.read_text(), dump=harness.log.read_text)
        assert "access denied (AuthenticationFailed)" in operator.wait_ready(ready=False)
        wait_event(harness, "QueueUnreachable", "vott-train-0")
        harness.operator().wait_ready()  # a standby does not use the queue, so that an upgrade can replace the leader
        new = azurite.connection_string.replace(ACCOUNT_KEY, OTHER_KEY)
        harness.change_secret(f"{RELEASE}-azure", AZURE_STORAGE_CONNECTION_STRING=new)

        client = QueueClient.from_connection_string(new, harness.name)
        client.send_message('{"annotations": "https://host/b.csv", "model": "https://store/models"}')
        wait_until(
            "the second TrainingJob", lambda: len(harness.trainingjobs()) == 2, seconds=60, dump=harness.diagnostics
        )
        assert operator.poll() is None
        operator.wait_ready()
        wait_event(harness, "QueueReachable", "vott-train-0")
        assert harness.log.read_text().count("AuthenticationFailed") < 3  # not for each attempt
        assert "Traceback" not in harness.log.read_text()
        assert OTHER_KEY not in harness.log.read_text()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def identity_values(azurite: Azurite, queue: str) -> dict[str, Any]:
    """Chart values of a workload identity, without a Secret."""
    return {
        "azure": {"workloadIdentity": {"clientId": CLIENT}},
        "queues": [{"kind": "storage", "name": queue, "account": azurite.queue_service}],
    }


def test_a_workload_identity_needs_no_secret(control_plane: ControlPlane, authority: Authority, tmp_path: Path) -> None:
    name = f"identity-{secrets.token_hex(4)}"
    with Azurite(authority=authority) as azurite, Entra(authority, tmp_path) as entra:
        client = QueueClient.from_connection_string(
            azurite.connection_string, name, connection_verify=str(authority.certificate)
        )
        client.create_queue()
        client.send_message('{"annotations": "https://host/a.csv", "model": "https://store/models"}')
        with OperatorHarness(control_plane, azurite, name, identity_values(azurite, name)) as harness:
            harness.operator(**entra.environment())
            wait_until("a TrainingJob", harness.trainingjobs, seconds=60, dump=harness.diagnostics)
            empty = lambda: client.get_queue_properties().approximate_message_count == 0  # noqa: E731
            wait_until("an empty queue", empty, dump=harness.diagnostics)
            pod = harness.kubectl.get("deployment", RELEASE)["spec"]["template"]
            account = harness.kubectl.get("serviceaccount", RELEASE)["metadata"]
    assert entra.requests[0]["client_assertion"] == "the pod's token"
    assert entra.requests[0]["scope"] == f"{RESOURCE}/.default"
    assert len(entra.requests) == 1  # the token is cached until it is about to expire
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert account["annotations"]["azure.workload.identity/client-id"] == CLIENT
    assert not [volume for volume in pod["spec"]["volumes"] if "secret" in volume]


def test_an_identity_unknown_to_entra_is_logged_in_one_sentence(
    control_plane: ControlPlane, authority: Authority, tmp_path: Path
) -> None:
    name = f"identity-{secrets.token_hex(4)}"
    with (
        Azurite(authority=authority) as azurite,
        Entra(authority, tmp_path) as entra,
        OperatorHarness(control_plane, azurite, name, identity_values(azurite, name)) as harness,
    ):
        harness.operator(**entra.environment("an unknown token"))
        wait_until("the refusal", lambda: "AADSTS700213" in harness.log.read_text(), dump=harness.log.read_text)
        (line, *_) = [line for line in harness.log.read_text().splitlines() if "AADSTS700213" in line]
        assert f"/{name}: no token for the workload identity" in line
        assert "or give the pod a workload identity" in line
        assert "Traceback" not in harness.log.read_text()
