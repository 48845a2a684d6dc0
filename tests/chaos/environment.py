"""Settings and credentials of operators whose services are all behind proxies."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from localcluster.azurite import Azurite, connection_string
from tests.support.operator_harness import OperatorHarness
from tests.support.service_bus_broker import ServiceBusBroker
from tests.support.tcp_proxy import TcpProxy


def queue_credentials(azurite: Azurite, broker: ServiceBusBroker, proxies: Mapping[str, TcpProxy]) -> dict[str, str]:
    """The chart's value `azure`, through the proxies "Azurite" and "broker"."""
    return {
        "connectionString": connection_string(azurite.host, azurite.blob_port, proxies["Azurite"].port),
        "serviceBusConnectionString": broker.connection_string_at(proxies["broker"].address),
    }


def operator_environment(
    harness: OperatorHarness, folder: Path, credentials: Mapping[str, str], proxies: Mapping[str, TcpProxy]
) -> dict[str, str]:
    """The environment of an operator with the chart's settings and the rights of its ServiceAccount, through the proxy "API server"."""
    settings = yaml.safe_load(harness.kubectl.get("configmap", "vott-train-settings")["data"]["settings.yaml"])
    for queue in settings["queues"]:
        queue.pop("credentialsDir", None)  # the environment has the credentials
    config = folder / "settings.yaml"
    config.write_text(yaml.safe_dump(settings))
    account = harness.control_plane.user_kubeconfig(
        f"system:serviceaccount:{harness.name}:vott-train", ["system:serviceaccounts", "system:authenticated"]
    )
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        account.read_text().replace(harness.control_plane.server, f"https://{proxies['API server'].address}")
    )
    return {
        "VOTT_TRAIN_CONFIG": str(config),
        "KUBECONFIG": str(kubeconfig),
        "AZURE_STORAGE_CONNECTION_STRING": credentials["connectionString"],
        "AZURE_SERVICE_BUS_CONNECTION_STRING": credentials["serviceBusConnectionString"],
    }
