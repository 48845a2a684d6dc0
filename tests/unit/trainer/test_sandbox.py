"""The sandbox denies credentials and shared folders, and nothing else; with real programs on the real kernel."""

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
# Root may inspect any process; the user of a pod has no capabilities.
NO_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
PARENT = """
import os, subprocess, sys
from pathlib import Path
from vott_trainer.plugins import sandbox
sandbox.CREDENTIAL_FOLDERS = (Path(sys.argv[1]),)
command = [sys.executable, "-c", sys.argv[2], str(os.getpid()), sys.argv[1]]
sys.exit(subprocess.run(sandbox.confined(command)).returncode)
"""
# A program with a secret in its environment starts the trainer, which hasn't, which starts a script: the argument.
DAEMON = """
import os, subprocess, sys
trainer = (
    "import os, subprocess, sys; from vott_trainer.plugins import sandbox;"
    "sys.exit(subprocess.run(sandbox.confined([sys.executable, '-c', *sys.argv[1:]])).returncode)"
)
environment = {name: value for name, value in os.environ.items() if name != "SECRET"}
command = [sys.executable, "-c", trainer, sys.argv[1], str(os.getpid())]
sys.exit(subprocess.run(command, env=environment).returncode)
"""
RunInSandbox = Callable[[str], str]
COMMAND = ["/bin/true"]


@pytest.fixture(autouse=True)
def trainer_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes import the trainer."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as Kubernetes mounts it, with symbolic links to the newest version."""
    folder = tmp_path / "run/secrets"
    (folder / "kubernetes/..data").mkdir(parents=True)
    (folder / "kubernetes/..data/token").write_text(TOKEN)
    (folder / "kubernetes/token").symlink_to("..data/token")
    monkeypatch.setattr(sandbox, "CREDENTIAL_FOLDERS", (folder, tmp_path / "none"))
    return folder


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `mounted`, with the image cache and the checkpoints of all trainings."""
    (folder := tmp_path / "mounted").mkdir()
    for name, variable in (("cache", "VOTT_IMAGE_CACHE"), ("checkpoints", "VOTT_CHECKPOINTS")):
        (folder / name).mkdir()
        (folder / name / "of-others").write_text(TOKEN)
        monkeypatch.setenv(variable, str(folder / name))
    return folder


@pytest.fixture
def run_in_sandbox(credentials: Path) -> RunInSandbox:
    """Run a program in the sandbox and return its output; argv[1] is the trainer's pid, argv[2] the denied folder."""

    def run(program: str) -> str:
        command = [*NO_CAPABILITIES, sys.executable, "-c", PARENT, str(credentials), program]
        environment = {**os.environ, "SECRET": TOKEN}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        return done.stdout + done.stderr

    return run


@pytest.mark.parametrize(
    "expression",
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
def test_credentials_can_t_be_read(expression: str, run_in_sandbox: RunInSandbox) -> None:
    output = run_in_sandbox(f"import os, subprocess, sys\n_, trainer, secrets = sys.argv\nprint({expression})\n")
    assert "Permission denied" in output or "PermissionError" in output or "Invalid cross-device link" in output
    assert TOKEN not in output


def test_memory_and_environment_of_all_the_trainer_s_tasks_can_t_be_read(run_in_sandbox: RunInSandbox) -> None:
    """Try every task repeatedly, from the start: always `Permission denied`."""
    output = run_in_sandbox(
        "import pathlib, sys\n"
        "for attempt in range(200):\n"
        "    for task in pathlib.Path('/proc', sys.argv[1], 'task').iterdir():\n"
        "        for name in ('environ', 'mem'):\n"
        "            try:\n"
        "                (task / name).open('rb').close()\n"
        "                print(task / name, 'is open')\n"
        "            except PermissionError:\n"
        "                print('denied') if attempt == 199 else None\n"
    )
    assert set(output.splitlines()) == {"denied"}


@pytest.mark.parametrize("private", ["/proc/version", "/nowhere"])
def test_environment_of_the_daemon_that_started_the_trainer_can_t_be_read(private: str) -> None:
    """Also if nothing of the daemon is in files. Without the sandbox the script, of the same user, could read it."""
    script = "import sys\nprint(open(f'/proc/{sys.argv[1]}/environ').read())"
    command = [*NO_CAPABILITIES, sys.executable, "-c", DAEMON, script]

    def output(**variables: str) -> str:
        environment = {**os.environ, "SECRET": TOKEN, **variables}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        return done.stdout + done.stderr

    confined = output(VOTT_PRIVATE_PATHS=private)
    assert "PermissionError" in confined
    assert TOKEN not in confined
    assert TOKEN in output(VOTT_PRIVATE_PATHS=private, VOTT_SCRIPTS_WITHOUT_SANDBOX="true")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A daemon's state, with a signing key and the folders of two trainings, the first of which is this one; and a file elsewhere."""
    folder = tmp_path / "state"
    for training in ("1", "2"):
        for name in ("work", "tmp"):
            (folder / training / name).mkdir(parents=True)
        (folder / training / "status.json").write_text(TOKEN)
    (folder / "signing-key").write_text(TOKEN)
    (folder / "2/work/of-others").write_text(TOKEN)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/connection-string").write_text(TOKEN)
    (tmp_path / "etc/else").write_text("readable")
    private = [folder, tmp_path / "etc/connection-string", tmp_path / "none"]
    monkeypatch.setenv("VOTT_PRIVATE_PATHS", os.pathsep.join(map(str, private)))
    monkeypatch.setenv("VOTT_WORK_DIR", str(folder / "1/work"))
    monkeypatch.setenv("TMPDIR", str(folder / "1/tmp"))
    return folder


@pytest.mark.parametrize(
    "expression",
    [
        "open(f'{state}/signing-key')",
        "open(f'{state}/1/status.json', 'w')",
        "open(f'{state}/2/work/of-others')",
        "open(f'{state}/1/work/../../signing-key')",
        "os.listdir(state)",
        "os.listdir(f'{state}/1')",
        "os.rename(f'{state}/1/status.json', f'{state}/1/work/status.json')",
        "open(f'{state}/../etc/connection-string')",
        "open(f'{state}/../etc/connection-string', 'w')",
        "os.remove(f'{state}/../etc/connection-string')",
    ],
)
def test_private_files_and_folders_can_be_neither_read_nor_written(
    expression: str, state: Path, run_in_sandbox: RunInSandbox
) -> None:
    output = run_in_sandbox(f"import os\nstate = {str(state)!r}\nprint({expression})\n")
    assert "PermissionError" in output or "Invalid cross-device link" in output
    assert TOKEN not in output
    for private in (state / "signing-key", state / "1/status.json", state.parent / "etc/connection-string"):
        assert private.read_text() == TOKEN


def test_training_s_own_folders_are_usable_below_a_private_one(state: Path, run_in_sandbox: RunInSandbox) -> None:
    program = (
        f"import os, pathlib, tempfile\nos.chdir({str(state / '1/work')!r})\n"
        "os.mkdir('a'), pathlib.Path('a/x').write_text('content'), os.rename('a/x', 'y')\n"
        "assert sorted(os.listdir()) == ['a', 'y'] and pathlib.Path('y').read_text() == 'content'\n"
        "with tempfile.NamedTemporaryFile() as file: print(os.path.dirname(file.name))\n"
        f"print(open({str(state.parent / 'etc/else')!r}).read())\n"
    )
    assert run_in_sandbox(program) == f"{state / '1/tmp'}\nreadable\n"


def test_private_path_within_the_training_s_own_folder_stays_private(
    state: Path, run_in_sandbox: RunInSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTT_PRIVATE_PATHS", os.pathsep.join(map(str, (state, state / "2/work"))))
    monkeypatch.setenv("VOTT_WORK_DIR", str(state / "2"))
    assert "PermissionError" in run_in_sandbox(f"open({str(state / '2/work/of-others')!r})")
    assert run_in_sandbox(f"print(open({str(state / '2/status.json')!r}).read())") == f"{TOKEN}\n"


def test_private_folder_that_is_the_training_s_own_stays_private(
    state: Path, run_in_sandbox: RunInSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTT_WORK_DIR", str(state))
    assert "PermissionError" in run_in_sandbox(f"open({str(state / 'signing-key')!r})")


@pytest.mark.usefixtures("credentials")
def test_sandbox_restricts_a_separate_process() -> None:
    """A thread in the sandbox would expose the trainer's memory."""
    before = set(threading.enumerate())
    process = subprocess.Popen(
        sandbox.confined(["/bin/sh", "-c", "echo $$; cat /proc/self/environ"]),
        stdout=-1,
        env={"PYTHONPATH": PYTHONPATH},
        text=True,
    )
    output, _ = process.communicate()
    assert output.startswith(f"{process.pid}\n")
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("folder", ["cache", "checkpoints"])
@pytest.mark.parametrize(
    "expression",
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
def test_shared_folders_can_be_neither_read_nor_written(
    folder: str, expression: str, shared: Path, run_in_sandbox: RunInSandbox
) -> None:
    output = run_in_sandbox(f"import os, subprocess, sys\nfolder = {str(shared / folder)!r}\nprint({expression})\n")
    assert "Permission denied" in output or "PermissionError" in output or "Invalid cross-device link" in output
    assert TOKEN not in output
    assert [path.name for path in (shared / folder).iterdir()] == ["of-others"]
    assert (shared / folder / "of-others").read_text() == TOKEN


def test_shared_folders_are_denied_without_credentials(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "CREDENTIAL_FOLDERS", (tmp_path / "none",))
    done = subprocess.run(sandbox.confined(["/bin/ls", str(shared / "cache")]), capture_output=True, text=True)
    assert "Permission denied" in done.stderr


@pytest.mark.parametrize("location", ["https://account/container?sig=x", "s3://bucket/prefix", "", "/nowhere"])
def test_checkpoints_outside_of_folders_deny_nothing(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "CREDENTIAL_FOLDERS", (tmp_path / "none",))
    assert sandbox.confined(COMMAND, {"VOTT_CHECKPOINTS": location}) == COMMAND


def test_symbolic_link_to_a_credential_can_t_be_read(run_in_sandbox: RunInSandbox, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    link = tmp_path / "work/token"
    output = run_in_sandbox(
        f"import os, sys\nos.symlink(sys.argv[2] + '/kubernetes/token', {str(link)!r})\nprint(open({str(link)!r}).read())"
    )
    assert link.is_symlink()
    assert "PermissionError" in output
    assert TOKEN not in output


def test_everything_else_is_allowed(run_in_sandbox: RunInSandbox, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    program = (
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
    assert run_in_sandbox(program) == "printed\nall done\n"


@pytest.mark.usefixtures("credentials")
def test_signals_exit_code_and_file_descriptors_are_unchanged() -> None:
    command = ["/bin/sh", "-c", "grep -E 'SigIgn|SigBlk' /proc/self/status; ls -l /proc/self/fd | wc -l; exit 7"]
    confined, unconfined = (
        subprocess.run(arguments, capture_output=True, text=True) for arguments in (sandbox.confined(command), command)
    )
    assert (confined.stdout, confined.returncode) == (unconfined.stdout, unconfined.returncode)
    killed = subprocess.run(sandbox.confined(["/bin/sh", "-c", "kill -TERM $$"]))
    assert killed.returncode == -signal.SIGTERM


def test_trainer_can_still_read_credentials(credentials: Path) -> None:
    assert subprocess.run(sandbox.confined(COMMAND)).returncode == 0
    assert (credentials / "kubernetes/token").read_text() == TOKEN
    assert subprocess.run(["cat", credentials / "kubernetes/token"], capture_output=True, text=True).stdout == TOKEN


def test_landlock_is_not_needed_without_denied_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "CREDENTIAL_FOLDERS", (tmp_path / "none",))
    monkeypatch.setattr(sandbox, "_CREATE_RULESET", 9999)
    assert sandbox.confined(COMMAND, {}) == COMMAND


@pytest.mark.usefixtures("credentials")
def test_script_does_not_start_without_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_CREATE_RULESET", 9999)  # no such system call
    with pytest.raises(
        BrokenPluginError, match=r"needs Landlock, which this node's kernel lacks.*Train on other nodes"
    ):
        sandbox.confined(COMMAND, {})


@pytest.mark.parametrize("call", ["_CREATE_RULESET", "_ADD_RULE", "_RESTRICT_SELF"])
def test_script_does_not_start_if_the_sandbox_fails_half_way(call: str, credentials: Path) -> None:
    program = (
        f"import sys\nfrom vott_trainer.plugins import sandbox\nsandbox.{call} = 9999\nsandbox.main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", program, str(credentials), "--", "--", "/bin/echo", "started"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr == "The script was not started: [Errno 38] Landlock: Function not implemented\n"


@pytest.mark.usefixtures("credentials")
def test_administrator_can_opt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_CREATE_RULESET", 9999)
    assert sandbox.confined(COMMAND, {sandbox.OPT_OUT_VARIABLE: "true"}) == COMMAND
    with pytest.raises(BrokenPluginError):
        sandbox.confined(COMMAND, {sandbox.OPT_OUT_VARIABLE: "1"})
