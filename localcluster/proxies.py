"""Proxies of the machine: downloads go through them, the cluster's own traffic never does."""

from collections.abc import Iterable, Mapping, MutableMapping

_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})


def without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program of the cluster, which talks to nobody outside it."""
    return {name: value for name, value in environment.items() if name.upper() not in _PROXIES}


def reach_directly(environment: MutableMapping[str, str], addresses: Iterable[str]) -> None:
    """Add addresses to ``NO_PROXY`` and ``no_proxy``: some programs read only one of them."""
    known = (environment.get("NO_PROXY") or environment.get("no_proxy") or "").split(",")
    value = "*" if known == ["*"] else ",".join(dict.fromkeys([*addresses, *filter(None, known)]))
    environment["NO_PROXY"] = environment["no_proxy"] = value


def shell_lines(addresses: Iterable[str]) -> list[str]:
    """The same as lines for a POSIX shell, which keep what the shell's user has set."""
    return [
        f'export NO_PROXY="{",".join(addresses)},${{NO_PROXY:-${{no_proxy:-localhost}}}}"',
        'export no_proxy="$NO_PROXY"',
    ]
