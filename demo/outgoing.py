"""The rules for requests: messages may name only the demo's storage account and callback receiver."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from demo.storage import Storage


def outgoing(connection_string: str, host_address: str | None) -> dict[str, Any]:
    """The section `outgoing` of the settings of operator and daemon, and of the chart's values.

    Args:
        connection_string: storage account of the images and the model.
        host_address: address where the demo receives callbacks over http, or None.
    """
    account = Storage(connection_string).blob_service_url
    hosts = sorted(filter(None, {urlsplit(account).hostname, host_address}))
    networks = {host: network for host in hosts if (network := _network(host))}
    return {
        "allowHttp": bool(host_address) or account.startswith("http:"),
        "publicAddresses": False,
        "hosts": [host for host in hosts if host not in networks],
        "networks": list(networks.values()),
    }


def _network(host: str) -> str | None:
    """An IP address as a network, or None for a host name."""
    try:
        return str(ipaddress.ip_network(host))
    except ValueError:
        return None
