"""What a program in the sandbox can and can't do, asked of real ones on the real kernel."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.trainer_process import PYTHONPATH
from vott_trainer.errors import BrokenPluginError
from vott_trainer.plugins import sandbox

TOKEN = "the-token-of-the-pod"
# Root may look into any process; the user of a pod has no capability.
NO_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
PARENT = """
import os, subprocess, sys
from pathlib import Path
from vott_trainer.plugins import sandbox
sandbox.CREDENTIAL_FOLDERS = (Path(sys.argv[1]),)
command = [sys.executable, "-c", sys.argv[2], str(os.getpid()), sys.argv[1]]
sys.exit(subprocess.run(sandbox.confined(command)).returncode)
"""
Ask = Callable[[str], str]
COMMAND = ["/bin/true"]


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of their own find the trainer where the tests do."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as Kubernetes mounts it: each file is a link to where the newest one lies."""
    folder = tmp_path / "run/secrets"
    (folder / "kubernetes/..data").mkdir(parents=True)
    (folder / "kubernetes/..data/token").write_text(TOKEN)
    (folder / "kubernetes/token").symlink_to("..data/token")
    monkeypatch.setattr(sandbox, "CREDENTIAL_FOLDERS", (folder, tmp_path / "none"))
    return folder


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the image cache and the checkpoints of all trainings lie in, `mounted`."""
    (folder := tmp_path / "mounted").mkdir()
    for name, variable in (("cache", "VOTT_IMAGE_CACHE"), ("checkpoints", "VOTT_CHECKPOINTS")):
        (folder / name).mkdir()
        (folder / name / "of-others").write_text(TOKEN)
        monkeypatch.setenv(variable, str(folder / name))
    return folder


@pytest.fixture
def ask(credentials: Path) -> Ask:
    """Returns what a program in the sandbox prints; it knows the trainer's pid (argv[1]) and the closed folder (argv[2])."""

    def run(program: str) -> str:
        command = [*NO_CAPABILITIES, sys.executable, "-c", PARENT, str(credentials), program]
        environment = {**os.environ, "SECRET": TOKEN}
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


def test_no_thread_or_process_of_the_trainer_lends_its_memory(ask: Ask) -> None:
    """Asked again and again from the first moment on, about every task: nothing but `Permission denied`."""
    said = ask(
        "import pathlib, sys\n"
        "for turn in range(200):\n"
        "    for task in pathlib.Path('/proc', sys.argv[1], 'task').iterdir():\n"
        "        for name in ('environ', 'mem'):\n"
        "            try:\n"
        "                (task / name).open('rb').close()\n"
        "                print(task / name, 'is open')\n"
        "            except PermissionError:\n"
        "                print('denied') if turn == 199 else None\n"
    )
    assert set(said.splitlines()) == {"denied"}


@pytest.mark.usefixtures("credentials")
def test_what_restricts_itself_is_a_process_of_its_own() -> None:
    """A thread would be within the sandbox, and its memory is the trainer's."""
    before = set(threading.enumerate())
    process = subprocess.Popen(
        sandbox.confined(["/bin/sh", "-c", "echo $$; cat /proc/self/environ"]),
        stdout=-1,
        env={"PYTHONPATH": PYTHONPATH},
        text=True,
    )
    said, _ = process.communicate()
    assert said.startswith(f"{process.pid}\n")
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("folder", ["cache", "checkpoints"])
@pytest.mark.parametrize(
    "way",
    [
        "os.listdir(folder)",
        "open(f'{folder}/of-others')",
        "open(f'{folder}/of-others', 'r+')",
        "open(f'{folder}/of-others', 'w')",
        "open(f'{folder}/new', 'w')",
        "os.mkdir(f'{folder}/new')",
        "os.symlink('x', f'{folder}/new')",
        "os.link('/bin/true', f'{folder}/new')",
        "os.mkfifo(f'{folder}/new')",
        "os.truncate(f'{folder}/of-others', 0)",
        "os.remove(f'{folder}/of-others')",
        "os.rename(f'{folder}/of-others', f'{folder}/new')",
        "os.rename(folder, f'{folder}-else')",
        "subprocess.run(['cp', sys.executable, f'{folder}/new'], check=True)",
    ],
)
def test_what_all_trainings_share_is_neither_read_nor_written(folder: str, way: str, shared: Path, ask: Ask) -> None:
    said = ask(f"import os, subprocess, sys\nfolder = {str(shared / folder)!r}\nprint({way})\n")
    assert "Permission denied" in said or "PermissionError" in said or "Invalid cross-device link" in said
    assert TOKEN not in said
    assert [path.name for path in (shared / folder).iterdir()] == ["of-others"]
    assert (shared / folder / "of-others").read_text() == TOKEN


def test_shared_folders_are_closed_where_there_are_no_credentials(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "CREDENTIAL_FOLDERS", (tmp_path / "none",))
    done = subprocess.run(sandbox.confined(["/bin/ls", str(shared / "cache")]), capture_output=True, text=True)
    assert "Permission denied" in done.stderr


@pytest.mark.parametrize("place", ["https://account/container?sig=x", "s3://bucket/prefix", "", "/nowhere"])
def test_checkpoints_that_lie_in_no_folder_close_nothing(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "CREDENTIAL_FOLDERS", (tmp_path / "none",))
    assert sandbox.confined(COMMAND, {"VOTT_CHECKPOINTS": place}) == COMMAND


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
        "print('printed', file=open('/dev/stdout', 'w'))\n"
        "socket.create_server(('127.0.0.1', 0)).close()\n"
        "assert subprocess.run(['sh', '-c', 'ls /usr >/dev/null']).returncode == 0\n"
        "print('all done')\n"
    )
    assert ask(work) == "printed\nall done\n"


@pytest.mark.usefixtures("credentials")
def test_signals_exit_codes_and_the_process_itself_are_as_without() -> None:
    told = ["/bin/sh", "-c", "grep -E 'SigIgn|SigBlk' /proc/self/status; ls -l /proc/self/fd | wc -l; exit 7"]
    within, without = (
        subprocess.run(command, capture_output=True, text=True) for command in (sandbox.confined(told), told)
    )
    assert (within.stdout, within.returncode) == (without.stdout, without.returncode)
    killed = subprocess.run(sandbox.confined(["/bin/sh", "-c", "kill -TERM $$"]))
    assert killed.returncode == -signal.SIGTERM


def test_the_trainer_itself_goes_on_reading_them(credentials: Path) -> None:
    assert subprocess.run(sandbox.confined(COMMAND)).returncode == 0
    assert (credentials / "kubernetes/token").read_text() == TOKEN
    assert subprocess.run(["cat", credentials / "kubernetes/token"], capture_output=True, text=True).stdout == TOKEN


def test_without_credentials_in_reach_nothing_is_asked_of_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "CREDENTIAL_FOLDERS", (tmp_path / "none",))
    monkeypatch.setattr(sandbox, "_CREATE_RULESET", 9999)
    assert sandbox.confined(COMMAND, {}) == COMMAND


@pytest.mark.usefixtures("credentials")
def test_a_kernel_without_landlock_starts_no_script_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_CREATE_RULESET", 9999)  # a call that no kernel knows
    with pytest.raises(
        BrokenPluginError, match=r"needs Landlock, which this node's kernel lacks.*Train on other nodes"
    ):
        sandbox.confined(COMMAND, {})


@pytest.mark.parametrize("call", ["_CREATE_RULESET", "_ADD_RULE", "_RESTRICT_SELF"])
def test_a_sandbox_that_fails_half_way_starts_no_script(call: str, credentials: Path) -> None:
    program = (
        f"import sys\nfrom vott_trainer.plugins import sandbox\nsandbox.{call} = 9999\nsandbox.main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", program, str(credentials), "--", "/bin/echo", "started"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr == "The script was not started: [Errno 38] Landlock: Function not implemented\n"


@pytest.mark.usefixtures("credentials")
def test_only_the_administrator_can_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_CREATE_RULESET", 9999)
    assert sandbox.confined(COMMAND, {sandbox.OPT_OUT_VARIABLE: "true"}) == COMMAND
    with pytest.raises(BrokenPluginError):
        sandbox.confined(COMMAND, {sandbox.OPT_OUT_VARIABLE: "1"})
