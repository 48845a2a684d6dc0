"""The trainer's process: started, followed, stopped, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vott_traind import log_follower
from vott_traind.log_follower import CHUNK, LONGEST_LINE, LogFollower
from vott_traind.processes import ProcessId, TrainerProcess, end_leftover

ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
# Root may read everything; the image's user has no capabilities.
NO_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []


def start(tmp_path: Path, code: str) -> TrainerProcess:
    return TrainerProcess.start([sys.executable, "-c", code], ENVIRONMENT, tmp_path, tmp_path / "log")


def wait_for_text(file: Path, text: str = "\n") -> str:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if file.exists() and text in (found := file.read_text()):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{text!r} is not in {file}")


@pytest.mark.parametrize(
    ("code", "expected"),
    [("raise SystemExit(65)", 65), ("import os; os.kill(os.getpid(), 9)", 137), ("print('hi')", 0)],
)
async def test_exit_codes_are_as_in_a_shell(tmp_path: Path, code: str, expected: int) -> None:
    process = start(tmp_path, code)
    assert await process.wait() == expected
    assert ProcessId.of(os.getpid()) == ProcessId.of(os.getpid()) is not None


async def test_a_stopped_trainer_may_save_first(tmp_path: Path) -> None:
    save = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); print('on', flush=True); time.sleep(60)"
    )
    process = start(tmp_path, save)
    wait_for_text(tmp_path / "log")
    assert await process.stop(30) == 143


async def test_a_trainer_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    process = start(
        tmp_path,
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)",
    )
    wait_for_text(tmp_path / "log")
    assert await process.stop(0.2) == 137


DAEMON = """
import asyncio, os, sys
from pathlib import Path
from vott_traind.prctl import adopt_orphans
from vott_traind.processes import TrainerProcess

def start(name, code):
    return TrainerProcess.start([sys.executable, "-c", code], dict(os.environ), Path("."), Path(name))

async def main():
    adopt_orphans()
    other, ended = start("other", sys.argv[1]), start("ended", sys.argv[2])
    await ended.wait()
    await ended.clean_up()
    print(Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
    await other.stop(30)

asyncio.run(main())
"""
WITH_DETACHED_CHILD = (
    "import os, signal, subprocess, time; p = subprocess.Popen(['sleep', '60'], start_new_session=True);"
    "print(p.pid, os.getpid(), flush=True); "
)


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", ""])
def test_what_a_trainer_leaves_behind_is_killed_and_reaped(tmp_path: Path, end: str) -> None:
    """Also what has a session of its own: scripts, and the workers of several GPUs. What belongs to a running trainer lives."""
    orphan = "subprocess.run(['sh', '-c', 'sleep 60 & echo $! ready'])"
    code = [WITH_DETACHED_CHILD + f"{orphan}; time.sleep(60)", WITH_DETACHED_CHILD + end]
    command = [sys.executable, "-c", DAEMON, *code]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        children = daemon.stdout.readline().split()
        left, _ = (tmp_path / "ended").read_text().split()
        child, trainer, grandchild = wait_for_text(tmp_path / "other", "ready").split()[:3]
        assert children == [trainer]
        assert ProcessId.of(int(left)) is None
        assert ProcessId.of(int(child)) is not None
        assert ProcessId.of(int(grandchild)) is not None


def _wait_for_end(process: ProcessId) -> None:
    end = time.monotonic() + 30
    while process.is_running:
        assert time.monotonic() < end
        time.sleep(0.02)


def _sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "60"], start_new_session=True)


def _with_detached_child(output: Path) -> "subprocess.Popen[bytes]":
    with output.open("wb") as file:
        return subprocess.Popen([sys.executable, "-c", WITH_DETACHED_CHILD + "time.sleep(60)"], stdout=file)


async def test_a_leftover_is_killed_with_its_children_after_its_grace_period(tmp_path: Path) -> None:
    leftover = _with_detached_child(tmp_path / "log")
    child = ProcessId.of(int(wait_for_text(tmp_path / "log").split()[0]))
    process = ProcessId.of(leftover.pid)
    assert process is not None
    assert child is not None
    process.write(file := tmp_path / "process.json")
    await end_leftover(file, 0.1)
    assert leftover.wait(30) == -signal.SIGKILL
    _wait_for_end(child)


async def test_another_process_with_the_number_of_a_leftover_is_left_alone(tmp_path: Path) -> None:
    other = _sleeper()
    process = ProcessId.of(other.pid)
    assert process is not None
    ProcessId(process.pid, process.start_time - 1, process.boot_id).write(file := tmp_path / "process.json")
    await end_leftover(file, 0.1)
    with pytest.raises(subprocess.TimeoutExpired):  # poll() might be too early
        other.wait(1)
    other.kill()
    other.wait()


@pytest.mark.parametrize("text", [None, "", "[]", '{"pid": 1}'])
async def test_without_a_readable_record_there_is_no_leftover(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "process.json"
    if text is not None:
        file.write_text(text)
    await end_leftover(file, 0.1)


def test_a_trainer_ends_with_its_daemon(tmp_path: Path) -> None:
    """The kernel sends it SIGTERM."""
    save = "import signal, sys, time; signal.signal(15, lambda *_: (print('saved', flush=True), sys.exit(143)));"
    save += "print('on', flush=True); time.sleep(60)"
    daemon = (
        "import asyncio, os, sys; from pathlib import Path; from vott_traind.processes import TrainerProcess\n"
        "async def main():\n"
        "    TrainerProcess.start([sys.executable, '-c', sys.argv[1]], dict(os.environ), Path('.'), Path('log'))\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen([sys.executable, "-c", daemon, save], cwd=tmp_path, env=ENVIRONMENT) as process:
        wait_for_text(tmp_path / "log", "on")
        process.kill()
    wait_for_text(tmp_path / "log", "saved")


def test_another_process_of_the_user_cannot_read_the_daemon_s_environment() -> None:
    hide = "from vott_traind.prctl import hide_from_other_processes; hide_from_other_processes(); print('on', flush=True); input()"
    environment = {**ENVIRONMENT, "AZURE_STORAGE_KEY": "the-key"}
    command = [*NO_CAPABILITIES, sys.executable, "-c", hide]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        reading = subprocess.run(
            [*NO_CAPABILITIES, "cat", f"/proc/{daemon.pid}/environ"], capture_output=True, text=True
        )
        daemon.kill()
    assert ("the-key" in reading.stdout, reading.returncode) == (False, 1)
    assert "Permission denied" in reading.stderr


def test_a_log_is_followed_line_by_line(tmp_path: Path) -> None:
    (log := tmp_path / "log").write_text("of an earlier attempt\n")
    lines: list[str] = []
    follower = LogFollower(log, lines.append)
    with log.open("a") as file:
        for text in ("first\nsec", "ond\n", "x" * (LONGEST_LINE + 1) + "\nrest"):
            file.write(text)
            file.flush()
            follower.read()
    assert lines == ["first", "second", "x" * LONGEST_LINE]
    follower.read(to_end=True)
    assert lines[3:] == ["rest"]


def test_of_much_text_only_the_end_is_shown(tmp_path: Path) -> None:
    (log := tmp_path / "trainer.log").write_bytes(b"")
    lines: list[str] = []
    follower = LogFollower(log, lines.append)
    log.write_text("x" * 99 + "\n" + ("y" * 1023 + "\n") * (CHUNK // 1024))
    follower.read()
    assert lines == [f"[100 bytes skipped; see {log}]", *["y" * 1023] * (CHUNK // 1024)]


def test_a_log_that_is_too_long_is_continued_in_an_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_follower, "MAX_BYTES", 10)
    log, lines = tmp_path / "trainer.log", list[str]()
    with log.open("a") as file:
        follower = LogFollower(log, lines.append)
        for text in ("0123456789\n", "next\n"):
            file.write(text)
            file.flush()
            follower.read()
            if follower.is_full:
                follower.rotate()
    assert lines == ["0123456789", "next"]
    assert (log.read_text(), (tmp_path / "trainer.log.1").read_text()) == ("next\n", "0123456789\n")
