"""The pods' network bridge, and NAT for their outgoing traffic."""

import subprocess
from contextlib import suppress
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.settings import BRIDGE, HOST_ADDRESS, NAME, POD_RANGE, POLICY_TABLE

_NFT_TABLE = f"""
table ip {NAME}
delete table ip {NAME}
table ip {NAME} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {POD_RANGE} ip daddr != {POD_RANGE} oifname != "{BRIDGE}" masquerade
  }}
}}
"""
_FILTER_BRIDGED_TRAFFIC = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_KUBE_PROXY_TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"))


def ensure_network() -> None:
    """Create the bridge and the NAT rule, and apply packet filters to traffic between pods too.

    Raises:
        LocalClusterError: The address range is in use, or the kernel refused.
    """
    if not _bridge_exists():
        _check_address_range()
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "address", "replace", f"{HOST_ADDRESS}/24", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    if not _FILTER_BRIDGED_TRAFFIC.exists():
        _run("modprobe", "br_netfilter")
    _FILTER_BRIDGED_TRAFFIC.write_text("1")
    _run("nft", "-f", "-", stdin=_NFT_TABLE)


def network_exists() -> bool:
    """Whether the bridge exists and has its address."""
    return _bridge_exists() and HOST_ADDRESS in _run("ip", "-4", "-brief", "address", "show", "dev", BRIDGE)


def remove_network(*, with_kube_proxy: bool) -> None:
    """Remove the bridge and the rules, and kube-proxy's tables if they are this cluster's. Missing ones are ignored."""
    for link in _links():
        _try("ip", "link", "delete", link)
    for family, table in (("ip", NAME), ("ip", POLICY_TABLE), *(_KUBE_PROXY_TABLES if with_kube_proxy else ())):
        _try("nft", "delete", "table", family, table)


def _bridge_exists() -> bool:
    return Path(f"/sys/class/net/{BRIDGE}").exists()


def _links() -> list[str]:
    """The pods' interfaces on the bridge, and the bridge."""
    ports = Path(f"/sys/class/net/{BRIDGE}/brif")
    return [*(port.name for port in ports.glob("*")), BRIDGE] if _bridge_exists() else []


def _check_address_range() -> None:
    prefix = POD_RANGE.rpartition(".")[0]
    for line in _run("ip", "-4", "-brief", "address").splitlines():
        if f" {prefix}." in line:
            raise LocalClusterError(
                f"The pods' address range {POD_RANGE} is in use on this machine: {line.strip()}. Remove that interface first."
            )


def _run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalClusterError(
            f"{' '.join(command)} failed: {done.stderr.strip()}. Is this machine (or container) allowed to change its network?"
        )
    return done.stdout


def _try(*command: str) -> None:
    with suppress(FileNotFoundError):  # without the program there is nothing to remove
        subprocess.run(command, capture_output=True, check=False)
