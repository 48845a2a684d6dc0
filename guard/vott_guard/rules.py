"""The administrator's rules: which URLs of messages may be requested (docs/security.md). Pure."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import SplitResult

from vott_guard.addresses import IPAddress, IPNetwork, is_in, parse, why_never, why_never_all, why_not_public
from vott_guard.urls import HTTP, MalformedURLError, URLError, has_unsafe_characters, has_user_info, split_url

T = TypeVar("T")

ALLOW_HTTP = "VOTT_ALLOW_HTTP"
PUBLIC_ADDRESSES = "VOTT_PUBLIC_ADDRESSES"
ALLOWED_HOSTS = "VOTT_ALLOWED_HOSTS"
ALLOWED_NETWORKS = "VOTT_ALLOWED_NETWORKS"

# As strict as DNS in practice: parsers disagree about everything else.
HOST = re.compile(r"(?=.{1,253}\.?$)([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.?")
WEB_PORTS = (80, 443)
FIRST_UNPRIVILEGED_PORT = 1024
LISTS = "outgoing.hosts (VOTT_ALLOWED_HOSTS)", "outgoing.networks (VOTT_ALLOWED_NETWORKS)"
ASK = f"Send a link to a public https address, or ask the administrator to allow it in {LISTS[0]} or {LISTS[1]}."
ASK_TO_LIST = f"Ask the administrator to list it in {LISTS[0]}."


class RefusedError(Exception):
    """The rules refuse a URL or an address. The text names cause and remedy, without the URL's query.

    `where`: the host or address. `rule`: why it is refused.
    """

    def __init__(self, where: str, rule: str, remedy: str) -> None:
        super().__init__(f"{where} is refused: {rule}. {remedy}")
        self.where = where
        self.rule = rule


@dataclass(frozen=True)
class Rules:
    """Where URLs of messages may lead: public addresses, and the hosts and networks in the lists.

    Attributes:
        allow_http: whether plain http is allowed.
        public_addresses: whether all public addresses are allowed; else only those in the lists.
        hosts: names, or `*.example.com` for all subdomains; their addresses may be private, but not those that are never allowed.
        networks: addresses to allow in addition, such as private networks.
    """

    allow_http: bool = False
    public_addresses: bool = True
    hosts: tuple[str, ...] = ()
    networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Rules":
        """Read the variables of `to_environment`. Default: https to public addresses.

        Raises:
            ValueError: a variable has an invalid value; the text names it.
        """
        return cls(
            _flag(environment, ALLOW_HTTP, default=False),
            _flag(environment, PUBLIC_ADDRESSES, default=True),
            _each(environment, ALLOWED_HOSTS, host_pattern),
            _each(environment, ALLOWED_NETWORKS, network),
        )

    def to_environment(self) -> dict[str, str]:
        """Return all variables, defaults included."""
        return {
            ALLOW_HTTP: str(self.allow_http).lower(),
            PUBLIC_ADDRESSES: str(self.public_addresses).lower(),
            ALLOWED_HOSTS: ",".join(self.hosts),
            ALLOWED_NETWORKS: ",".join(map(str, self.networks)),
        }

    def check_url(self, url: str) -> None:
        """Check a URL without resolving its host; `check_address` checks the addresses.

        Raises:
            RefusedError: it is not allowed.
        """
        parts = _split(url)
        host = (parts.hostname or "").lower()
        if has_user_info(parts):
            raise RefusedError(host, "a user name or password stands before the host", "Use a SAS or presigned link.")
        if parts.scheme == "http" and not self.allow_http:
            raise RefusedError(
                f"http://{host}",
                "only https is allowed here",
                "Use https, or ask the administrator to set outgoing.allowHttp (VOTT_ALLOW_HTTP).",
            )
        _check_port(host, parts.port)
        if (address := parse(host)) is not None:
            self._check(host, address)
        else:
            self._check_name(host)

    def check_address(self, host: str, address: str) -> None:
        """Check an address of `host`.

        Raises:
            RefusedError: it is not allowed.
        """
        found = parse(address.partition("%")[0])  # without the IPv6 zone
        if found is None:
            raise RefusedError(f"{host} ({address})", "that is not an IP address", ASK)
        self._check(host, found)

    def _check_name(self, host: str) -> None:
        if not HOST.fullmatch(host):
            raise RefusedError(
                repr(host)[:100],
                "that is not an ASCII host name",
                "Write it with letters, digits, dots and dashes (xn--…).",
            )
        name = host.rstrip(".")
        if name == "localhost" or name.endswith(".localhost"):
            self._check(host, ipaddress.IPv4Address("127.0.0.1"))
        if not (self.public_addresses or self.networks or self._is_listed(host)):
            raise RefusedError(host, "only listed hosts are allowed here", ASK_TO_LIST)

    def _check(self, host: str, address: IPAddress) -> None:
        where = str(address) if host.strip("[]") == str(address) else f"{host} ({address})"
        if kind := why_never(address):
            raise RefusedError(
                where, f"that address is {kind}", "Nothing can allow it: send a link to another address."
            )
        if self._is_listed(host) or is_in(address, self.networks):
            return
        if kind := why_not_public(address):
            raise RefusedError(where, f"that address is {kind}", ASK)
        if not self.public_addresses:
            raise RefusedError(
                where,
                "only listed hosts and networks are allowed here",
                ASK_TO_LIST,
            )

    def _is_listed(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        return any(
            name.endswith(entry[1:]) if entry.startswith("*.") else name == entry
            for entry in map(str.lower, self.hosts)
        )


ANY_ADDRESS = Rules(allow_http=True, networks=tuple(map(ipaddress.ip_network, ("0.0.0.0/0", "::/0"))))
"""For the administrator's own stores; what is never allowed stays refused."""


def host_pattern(text: str) -> str:
    """Parse an entry of `hosts`. Raises ValueError with cause and remedy."""
    name = text.strip().lower().removeprefix("*.")
    if not HOST.fullmatch(name) or parse(name) is not None or name.endswith("."):
        raise ValueError(
            f"{text!r} is not a host name: use store.example.com or *.example.com; addresses belong in networks"
        )
    return text.strip().lower()


def network(text: str) -> IPNetwork:
    """Parse an entry of `networks`. Raises ValueError with cause and remedy."""
    try:
        found = ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network ({error}): use 10.1.2.0/24, or 10.1.2.3 for one address") from None
    if kind := why_never_all(found):
        raise ValueError(f"{text!r} can't be allowed: its addresses are {kind}")
    return found


def _split(url: str) -> SplitResult:
    if has_unsafe_characters(url):
        raise RefusedError("The URL", "it has control characters or backslashes", "Percent-encode them.")
    remedy = f"Write {HTTP.example}."
    try:
        return split_url(url)
    except MalformedURLError:
        raise RefusedError("The URL", "it can't be read", remedy) from None
    except URLError:
        raise RefusedError("The URL", "only http and https with a host can be requested", remedy) from None


def _check_port(host: str, port: int | None) -> None:
    if port is None or port in WEB_PORTS or port >= FIRST_UNPRIVILEGED_PORT:
        return
    raise RefusedError(f"{host}:{port}", "that port belongs to another service", "Use 443, or a port from 1024.")


def _flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name, "").strip().lower()
    if text not in ("", "true", "false"):
        raise ValueError(f"{name} is {text[:20]!r}; write true or false")
    return text == "true" if text else default


def _each(environment: Mapping[str, str], name: str, read: Callable[[str], T]) -> tuple[T, ...]:
    try:
        return tuple(read(entry) for entry in environment.get(name, "").split(",") if entry.strip())
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
