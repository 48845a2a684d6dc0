"""Proxies apply to downloads only."""

import subprocess
import sys
from pathlib import Path

import pytest

from localcluster.child_process import start_child
from localcluster.processes import find, stop
from localcluster.program import Program
from localcluster.proxies import bypass_proxies, shell_lines
from localcluster.supervisor import Supervisor

_ADDRESSES = ("10.0.0.1", "localhost")
_PROXIES = ("HTTP_PROXY", "https_proxy", "All_Proxy")


@pytest.fixture(autouse=True)
def _behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _PROXIES:
        monkeypatch.setenv(name, "http://proxy.example:3128")


@pytest.mark.parametrize(
    ("user", "result"),
    [
        ({}, "10.0.0.1,localhost"),
        ({"NO_PROXY": "a.example,localhost"}, "10.0.0.1,localhost,a.example"),
        ({"no_proxy": "a.example"}, "10.0.0.1,localhost,a.example"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_the_clusters_addresses_are_added_to_the_users(user: dict[str, str], result: str) -> None:
    for _ in range(2):
        bypass_proxies(user, _ADDRESSES)
        assert user == {"NO_PROXY": result, "no_proxy": result}


@pytest.mark.parametrize(
    ("user", "last"), [("NO_PROXY=a.example", "a.example"), ("no_proxy=a.example", "a.example"), ("X=1", "localhost")]
)
def test_sourcing_the_lines_keeps_the_shells_own_addresses(user: str, last: str) -> None:
    script = "\n".join(["unset NO_PROXY no_proxy", user, *shell_lines(_ADDRESSES), 'echo "$NO_PROXY $no_proxy"'])
    printed = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True).stdout
    assert printed.split() == [f"10.0.0.1,localhost,{last}"] * 2


def test_programs_of_the_cluster_have_no_proxy(tmp_path: Path) -> None:
    """Neither supervised programs nor child processes."""
    command = (sys.executable, "-c", "import os, time; print('up', *os.environ, flush=True); time.sleep(60)")
    log = tmp_path / "printed.log"
    try:
        Supervisor(tmp_path, tmp_path).ensure(Program("printed", command, lambda: b"up" in log.read_bytes()))
        assert not set(_PROXIES) & set(log.read_text().split())
    finally:
        stop(find(tmp_path), grace=0)
    start_child(("env",), tmp_path / "child.log").wait()
    assert not set(_PROXIES) & {line.partition("=")[0] for line in (tmp_path / "child.log").read_text().splitlines()}
