"""Programs that outlive their parent process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.errors import LocalClusterError
from localcluster.ports import free_ports
from localcluster.processes import find, stop
from localcluster.program import Program
from localcluster.supervisor import Supervisor
from tests.support.waiting import wait_until

_SERVER = "import http.server, sys; http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()"


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _server(port: int, *arguments: str) -> Program:
    return Program("server", (sys.executable, "-c", _SERVER, str(port), *arguments), lambda: _accepts(port))


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    stop(find(tmp_path), grace=0)


@pytest.fixture
def supervisor(owner: Path) -> Supervisor:
    return Supervisor(owner, owner / "logs")


def _pids(owner: Path) -> list[int]:
    return [process.pid for process in find(owner)]


def test_a_working_program_is_not_restarted(supervisor: Supervisor, owner: Path) -> None:
    program = _server(free_ports(1)[0])
    assert supervisor.ensure(program)
    before = _pids(owner)
    assert not supervisor.ensure(program)
    assert _pids(owner) == before


def test_a_killed_program_is_restarted(supervisor: Supervisor, owner: Path) -> None:
    program = _server(free_ports(1)[0])
    supervisor.ensure(program)
    (old,) = _pids(owner)
    os.kill(old, signal.SIGKILL)
    os.waitpid(old, 0)
    assert supervisor.ensure(program)
    assert _pids(owner) not in ([], [old])


def test_a_hanging_program_is_replaced(supervisor: Supervisor, owner: Path) -> None:
    port = free_ports(1)[0]
    answers = [True]
    program = Program("server", _server(port).command, lambda: answers[0] and _accepts(port))
    supervisor.ensure(program)
    (old,) = _pids(owner)
    os.kill(old, signal.SIGSTOP)
    answers[0] = False
    with pytest.raises(LocalClusterError, match="was not ready after 0 s"):
        supervisor.ensure(program, timeout=0)
    # The new process is briefly a copy of this one, without the mark.
    assert wait_until("a new process", lambda: _pids(owner), seconds=30) != [old]


def test_a_changed_command_line_replaces_the_program(supervisor: Supervisor, owner: Path) -> None:
    port = free_ports(1)[0]
    supervisor.ensure(_server(port))
    (old,) = _pids(owner)
    assert supervisor.ensure(_server(port, "--another"))
    assert len(_pids(owner)) == 1
    assert _pids(owner) != [old]


def test_a_changed_configuration_file_replaces_the_program(supervisor: Supervisor, owner: Path) -> None:
    port = free_ports(1)[0]
    config = owner / "config"
    config.write_text("old")
    program = Program("server", _server(port).command, lambda: _accepts(port), config_files=(config,))
    supervisor.ensure(program)
    config.write_text("new")
    assert supervisor.ensure(program)


def test_the_error_of_a_program_that_ends_at_once_has_its_output(supervisor: Supervisor) -> None:
    program = Program("broken", (sys.executable, "-c", "raise SystemExit('no such option')"), lambda: False)
    with pytest.raises(LocalClusterError, match=r"(?s)broken ended right after its start.*broken\.log.*no such option"):
        supervisor.ensure(program)


def test_only_programs_of_the_owner_are_found(
    supervisor: Supervisor, owner: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    supervisor.ensure(_server(free_ports(1)[0]))
    assert find(tmp_path_factory.mktemp("other")) == []
    assert [process.name for process in find(owner)] == ["server"]


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "VOTT_TRAIN_LOCALCLUSTER": f"{tmp_path}|stubborn|0"}
    with subprocess.Popen([sys.executable, "-c", stubborn], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        stop(find(tmp_path), grace=0.1)
        assert process.wait() == -signal.SIGKILL
