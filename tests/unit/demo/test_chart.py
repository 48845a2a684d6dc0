"""What the demo installs the chart with."""

import pytest

from demo.chart import values
from localcluster.azurite import connection_string

KEY = "AccountKey=a2V5;EndpointSuffix=core.windows.net"
AZURE = f"DefaultEndpointsProtocol=https;AccountName=acme;{KEY}"


def outgoing(storage: str, host_address: str | None) -> dict[str, object]:
    found: dict[str, object] = values(storage, "training", "operator:1", "trainer:1", host_address)["outgoing"]
    return found


@pytest.mark.parametrize(
    ("storage", "host_address", "expected"),
    [
        (AZURE, None, {"allowHttp": False, "hosts": ["acme.blob.core.windows.net"], "networks": []}),
        (AZURE, "demo.acme.net", {"allowHttp": True, "hosts": ["acme.blob.core.windows.net", "demo.acme.net"], "networks": []}),
        (AZURE, "10.0.0.9", {"allowHttp": True, "hosts": ["acme.blob.core.windows.net"], "networks": ["10.0.0.9/32"]}),
        (
            connection_string("10.244.0.1", 16000, 16001),
            "10.244.0.1",
            {"allowHttp": True, "hosts": [], "networks": ["10.244.0.1/32"]},
        ),
    ],
)  # fmt: skip
def test_messages_of_the_demo_may_name_its_own_storage_and_itself_only(
    storage: str, host_address: str | None, expected: dict[str, object]
) -> None:
    assert outgoing(storage, host_address) == expected | {"publicAddresses": False}
