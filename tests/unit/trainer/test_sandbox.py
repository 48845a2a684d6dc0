"""What a program in the sandbox can and can't do, asked of real ones on the real kernel."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vott_trainer import sandbox
from vott_trainer.errors import BrokenPluginError

TOKEN = "the-token-of-the-pod"
# Root may look into any process; the user of a pod has no capability.
NO_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
PARENT = """
import os, subprocess, sys
from pathlib import Path
from vott_trainer import sandbox
sandbox.CREDENTIALS = (Path(sys.argv[1]),)
command = [sys.executable, "-c", sys.argv[2], str(os.getpid()), sys.argv[1]]
sys.exit(sandbox.started(lambda: subprocess.run(command), {}).returncode)
"""
Ask = Callable[[str], str]


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as Kubernetes mounts it: each file is a link to where the newest one lies."""
    folder = tmp_path / "run/secrets"
    (folder / "kubernetes/..data").mkdir(parents=True)
    (folder / "kubernetes/..data/token").write_text(TOKEN)
    (folder / "kubernetes/token").symlink_to("..data/token")
    monkeypatch.setattr(sandbox, "CREDENTIALS", (folder, tmp_path / "none"))
    return folder


@pytest.fixture
def ask(credentials: Path) -> Ask:
    """Returns what a program in the sandbox prints; it knows the trainer's pid (argv[1]) and the closed folder (argv[2])."""

    def run(program: str) -> str:
        command = [*NO_CAPABILITIES, sys.executable, "-c", PARENT, str(credentials), program]
        environment = {**os.environ, "SECRET": TOKEN, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        return done.stdout + done.stderr

    return run


@pytest.mark.parametrize(
    "way",
    [
        "open(f'{secrets}/kubernetes/token')",
        "open(f'{secrets}/kubernetes/..data/token')",
        "os.listdir(secrets)",
        "os.open(f'{secrets}/kubernetes', os.O_RDONLY | os.O_DIRECTORY)",
        "open(f'/proc/self/root{secrets}/kubernetes/token')",
        "open(f'/proc/{trainer}/root{secrets}/kubernetes/token')",
        "open(f'/proc/{trainer}/environ')",
        "open(f'/proc/{trainer}/mem')",
        "os.readlink(f'/proc/{trainer}/fd/1')",
        "os.link(f'{secrets}/kubernetes/..data/token', '/tmp/link')",
        "subprocess.run(['cat', f'{secrets}/kubernetes/token'], check=True)",
    ],
)
def test_no_way_leads_to_the_credentials(way: str, ask: Ask) -> None:
    said = ask(f"import os, subprocess, sys\n_, trainer, secrets = sys.argv\nprint({way})\n")
    assert "Permission denied" in said or "PermissionError" in said or "Invalid cross-device link" in said
    assert TOKEN not in said


def test_a_link_made_there_does_not_help(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    link = tmp_path / "work/token"
    said = ask(
        f"import os, sys\nos.symlink(sys.argv[2] + '/kubernetes/token', {str(link)!r})\nprint(open({str(link)!r}).read())"
    )
    assert link.is_symlink()
    assert "PermissionError" in said
    assert TOKEN not in said


def test_everything_else_is_as_before(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    work = (
        "import json, os, pathlib, shutil, socket, subprocess, sys, tempfile\n"
        f"os.chdir({str(tmp_path / 'work')!r})\n"
        "os.mkdir('a'), os.mkdir('b'), pathlib.Path('a/x').write_text('content'), os.rename('a/x', 'b/y')\n"
        "assert os.listdir('b') == ['y'] and pathlib.Path('b/y').read_text() == 'content'\n"
        "with tempfile.TemporaryDirectory() as folder: pathlib.Path(folder, 'z').write_bytes(os.urandom(9))\n"
        "assert os.listdir('/proc/self/fd') and open('/proc/meminfo').read() and open('/dev/null').read() == ''\n"
        "assert os.path.realpath('..') == os.path.dirname(os.getcwd())\n"
        "socket.create_server(('127.0.0.1', 0)).close()\n"
        "assert subprocess.run(['sh', '-c', 'ls /usr >/dev/null']).returncode == 0\n"
        "print('all done')\n"
    )
    assert ask(work) == "all done\n"


def test_the_trainer_itself_goes_on_reading_them(credentials: Path) -> None:
    assert sandbox.started(lambda: subprocess.run(["true"]).returncode, {}) == 0
    assert (credentials / "kubernetes/token").read_text() == TOKEN
    assert subprocess.run(["cat", credentials / "kubernetes/token"], capture_output=True, text=True).stdout == TOKEN


def test_without_credentials_in_reach_nothing_is_asked_of_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "CREDENTIALS", (tmp_path / "none",))
    monkeypatch.setattr(sandbox, "_CREATE_RULESET", 9999)
    assert sandbox.started(lambda: "started", {}) == "started"


@pytest.mark.usefixtures("credentials")
def test_a_kernel_without_landlock_starts_no_script_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_CREATE_RULESET", 9999)  # a call that no kernel knows
    with pytest.raises(
        BrokenPluginError, match=r"needs Landlock, and the kernel of this node has none.*Train on other"
    ):
        sandbox.started(lambda: pytest.fail("it was started"), {})


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("call", ["_ADD_RULE", "_RESTRICT_SELF"])
def test_a_sandbox_that_fails_half_way_starts_no_script(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, call, 9999)
    with pytest.raises(OSError, match="Landlock: Function not implemented"):
        sandbox.started(lambda: pytest.fail("it was started"), {})


@pytest.mark.usefixtures("credentials")
def test_only_the_administrator_can_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_CREATE_RULESET", 9999)
    assert sandbox.started(lambda: "started", {sandbox.WITHOUT: "true"}) == "started"
    with pytest.raises(BrokenPluginError):
        sandbox.started(lambda: "started", {sandbox.WITHOUT: "1"})
