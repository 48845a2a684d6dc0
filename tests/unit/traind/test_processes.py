"""The trainer's process: started, followed, stopped, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vott_traind.log_follower import LONGEST_LINE, LogFollower
from vott_traind.processes import ProcessId, TrainerProcess, end_leftover

ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
# Root may read everything; the image's user has no capabilities.
NO_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
WITH_CHILD = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); "


async def start(tmp_path: Path, code: str) -> TrainerProcess:
    return await TrainerProcess.start([sys.executable, "-c", code], ENVIRONMENT, tmp_path, tmp_path / "log")


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
    process = await start(tmp_path, code)
    assert await process.wait() == expected
    assert ProcessId.of(os.getpid()) == ProcessId.of(os.getpid()) is not None


async def test_a_stopped_trainer_may_save_first(tmp_path: Path) -> None:
    save = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); print('on', flush=True); time.sleep(60)"
    )
    process = await start(tmp_path, save)
    wait_for_text(tmp_path / "log")
    assert await process.stop(30) == 143


async def test_a_trainer_that_does_not_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    process = await start(
        tmp_path,
        WITH_CHILD + "import signal; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)",
    )
    child = ProcessId.of(int(wait_for_text(tmp_path / "log", "on").split()[0]))
    assert child is not None
    assert await process.stop(0.2) == 137
    _wait_for_end(child)


async def test_what_a_trainer_leaves_behind_is_killed(tmp_path: Path) -> None:
    process = await start(tmp_path, WITH_CHILD)
    assert await process.wait() == 0
    child = ProcessId.of(int((tmp_path / "log").read_text()))
    if child is not None:
        _wait_for_end(child)


def _wait_for_end(process: ProcessId) -> None:
    end = time.monotonic() + 30
    while process.is_running:
        assert time.monotonic() < end
        time.sleep(0.02)


def _sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "60"], start_new_session=True)


async def test_a_leftover_is_killed_after_its_grace_period(tmp_path: Path) -> None:
    leftover = _sleeper()
    process = ProcessId.of(leftover.pid)
    assert process is not None
    process.write(file := tmp_path / "process.json")
    await end_leftover(file, 0.1)
    assert leftover.wait(30) == -signal.SIGKILL
    assert not file.exists()


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
        "    await TrainerProcess.start([sys.executable, '-c', sys.argv[1]], dict(os.environ), Path('.'), Path('log'))\n"
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
