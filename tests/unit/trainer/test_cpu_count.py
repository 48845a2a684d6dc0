"""Number of CPUs that a container may use."""

from pathlib import Path

import pytest

from vott_trainer.process.cpu_count import usable_cpus


@pytest.mark.parametrize("text", ["100000 100000", "50000 100000"])
def test_cgroup_v2_limit_counts(text: str, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text, encoding="ascii")
    assert usable_cpus(tmp_path) == 1


def test_cgroup_v1_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000", encoding="ascii")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000", encoding="ascii")
    assert usable_cpus(tmp_path) == 1


@pytest.mark.parametrize("text", ["max 100000", ""])
def test_without_a_limit_all_cpus_count(text: str, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text, encoding="ascii")
    assert usable_cpus(tmp_path) == usable_cpus(Path("/nowhere"))
