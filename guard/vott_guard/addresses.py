"""Kinds of IP addresses: never allowed, not public, public. Pure.

Registries: https://www.iana.org/assignments/iana-ipv4-special-registry and https://www.iana.org/assignments/iana-ipv6-special-registry.
Python's `is_global` differs between versions and does not know the clouds' own addresses.
"""

import ipaddress
import socket
from collections.abc import Iterator, Mapping

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def _table(rows: Mapping[str, str]) -> tuple[tuple[IPNetwork, str], ...]:
    return tuple((ipaddress.ip_network(network), kind) for network, kind in rows.items())


_NEVER = _table(
    {
        "0.0.0.0/8": "this host",
        "169.254.0.0/16": "link-local, with the clouds' metadata service",
        "168.63.129.16/32": "of the Azure platform",
        "100.100.100.200/32": "a cloud's metadata service",
        "192.0.0.192/32": "a cloud's metadata service",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved or broadcast",
        "::/128": "this host",
        "fe80::/10": "link-local, with the clouds' metadata service",
        "fd00:ec2::/32": "a cloud's metadata service",
        "fd20:ce::/32": "a cloud's metadata service",
        "fd00:c1::a9fe:a9fe/128": "a cloud's metadata service",
        "fd00:42::42/128": "a cloud's metadata service",
        "ff00::/8": "multicast",
    }
)
_NOT_PUBLIC = _table(
    {
        "10.0.0.0/8": "private",
        "100.64.0.0/10": "carrier-grade NAT",
        "127.0.0.0/8": "loopback",
        "172.16.0.0/12": "private",
        "192.0.0.0/24": "for IETF protocols",
        "192.0.2.0/24": "for documentation",
        "192.88.99.0/24": "for 6to4 relays",
        "192.168.0.0/16": "private",
        "198.18.0.0/15": "for benchmarks",
        "198.51.100.0/24": "for documentation",
        "203.0.113.0/24": "for documentation",
        "::1/128": "loopback",
        "64:ff9b:1::/48": "local NAT64",
        "fc00::/7": "private",
        "fec0::/10": "private",
        "2001::/23": "for IETF protocols",
        "2001:db8::/32": "for documentation",
        "2002::/16": "6to4",
        "3fff::/20": "for documentation",
    }
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # https://www.rfc-editor.org/rfc/rfc6052
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")  # https://www.rfc-editor.org/rfc/rfc8215; mostly /96 prefixes
_IPV4_COMPATIBLE = ipaddress.ip_network("::/96")
_IPV4_TRANSLATED = ipaddress.ip_network("::ffff:0:0:0/96")  # https://www.rfc-editor.org/rfc/rfc2765
_ISATAP = (0x00005EFE, 0x02005EFE)  # https://www.rfc-editor.org/rfc/rfc5214, section 6.1


def parse(text: str) -> IPAddress | None:
    """Parse an address in any form that an operating system accepts; None for a name.

    `inet_aton` accepts what `getaddrinfo` accepts: 2130706433, 0x7f.1, 0177.0.0.1.
    """
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except (OSError, UnicodeError, ValueError):
        return None


def why_never(address: IPAddress) -> str | None:
    """Return why an address, or one embedded in it, is never allowed; None if it may be."""
    return next((kind for one in (address, *embedded(address)) if (kind := _kind(one, _NEVER))), None)


def why_never_all(network: IPNetwork) -> str | None:
    """Return why no address of a network is ever allowed; None if some may be."""
    return next(
        (kind for never, kind in _NEVER if network.version == never.version and network.subnet_of(never)),  # type: ignore[arg-type]
        None,
    )


def why_not_public(address: IPAddress) -> str | None:
    """Return why an address is not public; None if it is."""
    if inner := _equivalent_ipv4(address):
        return why_not_public(inner)
    if kind := why_never(address) or _kind(address, _NOT_PUBLIC):
        return kind
    return None if address.version == 4 or address in _GLOBAL_UNICAST else "not on the public internet"


def is_in(address: IPAddress, networks: tuple[IPNetwork, ...]) -> bool:
    """Whether an address, or the IPv4 address that it is equivalent to, is in one of the networks."""
    return any(one in network for one in (address, _equivalent_ipv4(address)) if one for network in networks)


def embedded(address: IPAddress) -> Iterator[ipaddress.IPv4Address]:
    """Yield the IPv4 addresses in an IPv6 address: mapped, translated, 6to4, Teredo, ISATAP."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    number = int(address)
    if inner := _equivalent_ipv4(address):
        yield inner
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if (number >> 32) & 0xFFFFFFFF in _ISATAP or address in _LOCAL_NAT64:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)


def _equivalent_ipv4(address: IPAddress) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that receives the packets to an IPv6 address; None if there is none."""
    if isinstance(address, ipaddress.IPv4Address) or int(address) <= 1:
        return None
    if address.ipv4_mapped or any(address in one for one in (_NAT64, _IPV4_COMPATIBLE, _IPV4_TRANSLATED)):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _kind(address: IPAddress, table: tuple[tuple[IPNetwork, str], ...]) -> str | None:
    return next((f"{kind} ({network})" for network, kind in table if address in network), None)
