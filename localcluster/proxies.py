"""HTTP proxies of the machine: for downloads, never for the cluster's own traffic."""

from collections.abc import Iterable, Mapping, MutableMapping

_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})


def without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without proxies, for a program of the cluster, which needs no outside access."""
    return {name: value for name, value in environment.items() if name.upper() not in _PROXIES}


def bypass_proxies(environment: MutableMapping[str, str], addresses: Iterable[str]) -> None:
    """Add addresses to ``NO_PROXY`` and ``no_proxy``, because some programs read only one of them."""
    current = (environment.get("NO_PROXY") or environment.get("no_proxy") or "").split(",")
    value = "*" if current == ["*"] else ",".join(dict.fromkeys([*addresses, *filter(None, current)]))
    environment["NO_PROXY"] = environment["no_proxy"] = value


def shell_lines(addresses: Iterable[str]) -> list[str]:
    """The same as lines for a POSIX shell, which keep the user's own values."""
    return [
        f'export NO_PROXY="{",".join(addresses)},${{NO_PROXY:-${{no_proxy:-localhost}}}}"',
        'export no_proxy="$NO_PROXY"',
    ]
