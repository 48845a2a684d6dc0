"""The progress display of steps."""

import re
import sys
from pathlib import Path

import pytest

from localcluster import progress
from localcluster.errors import LocalClusterError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "cache_folder", lambda: tmp_path)


def test_a_step_prints_its_duration_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.step("Build it"):
        pass
    assert re.fullmatch(r"✓ Build it \(\d+(\.\d)? s\)\n", capsys.readouterr().err)


def test_the_error_of_a_program_has_step_output_log_and_remedy(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('disk full')"]
    with pytest.raises(LocalClusterError) as caught, progress.step("Build it", remedy="Free some space.") as this:
        this.run(command)
    message = str(caught.value)
    assert message.startswith("Build it failed: ")
    assert "    disk full" in message
    assert message.endswith(f"Full log: {tmp_path}/logs/build-it.log\nFree some space.")


def test_a_missing_program_is_named() -> None:
    with pytest.raises(LocalClusterError, match="no-such-program is not installed"), progress.step("Build it") as this:
        this.run(["no-such-program"])


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (12.3, "12 s"), (185, "3 min 05 s")])
def test_durations_are_formatted(seconds: float, text: str) -> None:
    assert progress.seconds_text(seconds) == text
