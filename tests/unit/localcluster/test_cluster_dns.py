"""CoreDNS's configuration."""

from pathlib import Path

import pytest

from localcluster.cluster_dns import coredns_program
from localcluster.ports import free_ports
from localcluster.program import Program


def _program(folder: Path, resolvers: Path, port: int = 16053) -> Program:
    return coredns_program(Path("coredns"), folder, folder / "kubeconfig", "127.0.0.1", port, resolvers)


@pytest.fixture
def resolvers(tmp_path: Path) -> Path:
    return tmp_path / "resolv.conf"


def test_other_names_are_forwarded_to_the_hosts_name_servers(tmp_path: Path, resolvers: Path) -> None:
    resolvers.write_text("search example.org\nnameserver 192.0.2.53\n")
    _program(tmp_path, resolvers)
    assert f"forward . {resolvers}\n" in (tmp_path / "Corefile").read_text()


@pytest.mark.parametrize("text", ["", "search example.org\n", "# nameserver 192.0.2.53\n", "nameserver\n"])
def test_cluster_dns_works_on_a_host_without_name_servers(text: str, tmp_path: Path, resolvers: Path) -> None:
    resolvers.write_text(text)
    _program(tmp_path, resolvers)
    assert "forward" not in (tmp_path / "Corefile").read_text()


def test_coredns_restarts_when_the_hosts_name_servers_change(tmp_path: Path, resolvers: Path) -> None:
    resolvers.write_text("nameserver 192.0.2.53\n")
    before = _program(tmp_path, resolvers).fingerprint
    assert _program(tmp_path, resolvers).fingerprint == before
    resolvers.write_text("nameserver 192.0.2.54\n")
    assert _program(tmp_path, resolvers).fingerprint != before


def test_coredns_is_not_ready_without_an_answer(tmp_path: Path, resolvers: Path) -> None:
    [port] = free_ports(1)
    assert not _program(tmp_path, resolvers, port).is_ready()
