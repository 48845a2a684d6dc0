"""The administrator's rules: which URLs of messages may be asked. Pure; docs/security.md explains them."""

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

# As strict as DNS is in practice: what else stands there is read in one way by one parser and otherwise by the next.
HOST = re.compile(r"(?=.{1,253}\.?$)([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.?")
WEB_PORTS = (80, 443)
FIRST_FREE_PORT = 1024
LISTS = "outgoing.hosts (VOTT_ALLOWED_HOSTS)", "outgoing.networks (VOTT_ALLOWED_NETWORKS)"
ASK = f"Send a link to a public https address, or ask the administrator to allow it in {LISTS[0]} or {LISTS[1]}."
ASK_TO_LIST = f"Ask the administrator to list it in {LISTS[0]}."


class RefusedError(Exception):
    """The administrator's rules forbid a URL or the address that it leads to.

    `where` is the host or address, `rule` what forbids it; the text is a sentence or two with the remedy, without the URL's query.
    """

    def __init__(self, where: str, rule: str, remedy: str) -> None:
        super().__init__(f"{where} is refused: {rule}. {remedy}")
        self.where = where
        self.rule = rule


@dataclass(frozen=True)
class Rules:
    """What URLs of messages may lead to. What the lists allow goes beside public addresses.

    `hosts`: names, or `*.example.com` for all below it; they may have any address but those that are never allowed.
    `networks`: addresses that may be connected to. `public_addresses`: False leaves the lists alone.
    """

    allow_http: bool = False
    public_addresses: bool = True
    hosts: tuple[str, ...] = ()
    networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Rules":
        """Read what `to_environment` wrote; without it, https to public addresses.

        Raises:
            ValueError: a variable is not what it should be; the text names it.
        """
        return cls(
            _flag(environment, ALLOW_HTTP, default=False),
            _flag(environment, PUBLIC_ADDRESSES, default=True),
            _each(environment, ALLOWED_HOSTS, host_pattern),
            _each(environment, ALLOWED_NETWORKS, network),
        )

    def to_environment(self) -> dict[str, str]:
        """Return every variable, also those of what is not set."""
        return {
            ALLOW_HTTP: str(self.allow_http).lower(),
            PUBLIC_ADDRESSES: str(self.public_addresses).lower(),
            ALLOWED_HOSTS: ",".join(self.hosts),
            ALLOWED_NETWORKS: ",".join(map(str, self.networks)),
        }

    def check_url(self, url: str) -> None:
        """Check what a URL itself tells; the address of a name shows only on connecting.

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
        """Check the address that a connection to `host` would go, or went, to.

        Raises:
            RefusedError: it is not allowed.
        """
        found = parse(address.partition("%")[0])  # without an interface's name
        if found is None:
            raise RefusedError(f"{host} ({address})", "that is no IP address", ASK)
        self._check(host, found)

    def _check_name(self, host: str) -> None:
        if not HOST.fullmatch(host):
            raise RefusedError(
                repr(host)[:100],
                "that is no host name in ASCII",
                "Write it with letters, digits, dots and dashes (xn--…).",
            )
        name = host.rstrip(".")
        if name == "localhost" or name.endswith(".localhost"):
            self._check(host, ipaddress.IPv4Address("127.0.0.1"))
        if not (self.public_addresses or self.networks or self._lists(host)):
            raise RefusedError(host, "only listed hosts are allowed here", ASK_TO_LIST)

    def _check(self, host: str, address: IPAddress) -> None:
        where = str(address) if host.strip("[]") == str(address) else f"{host} ({address})"
        if kind := why_never(address):
            raise RefusedError(
                where, f"that address is {kind}", "Nothing can allow it: send a link to another address."
            )
        if self._lists(host) or is_in(address, self.networks):
            return
        if kind := why_not_public(address):
            raise RefusedError(where, f"that address is {kind}", ASK)
        if not self.public_addresses:
            raise RefusedError(
                where,
                "only listed hosts and networks are allowed here",
                ASK_TO_LIST,
            )

    def _lists(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        return any(
            name.endswith(entry[1:]) if entry.startswith("*.") else name == entry
            for entry in map(str.lower, self.hosts)
        )


def host_pattern(text: str) -> str:
    """Return an entry of `hosts`; raise ValueError with a sentence for what is none."""
    name = text.strip().lower().removeprefix("*.")
    if not HOST.fullmatch(name) or parse(name) is not None or name.endswith("."):
        raise ValueError(
            f"{text!r} is no host: write store.example.com or *.example.com; addresses belong into networks"
        )
    return text.strip().lower()


def network(text: str) -> IPNetwork:
    """Return an entry of `networks`; raise ValueError with a sentence for what is none."""
    try:
        found = ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no network ({error}): write 10.1.2.0/24 or one address, 10.1.2.3") from None
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
    if port is None or port in WEB_PORTS or port >= FIRST_FREE_PORT:
        return
    raise RefusedError(f"{host}:{port}", "that port is another service's", "Use 443, or one from 1024 on.")


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
