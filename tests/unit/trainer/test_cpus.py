"""How many threads a container starts."""

from pathlib import Path

import pytest

from vott_trainer.process.cpus import available


@pytest.mark.parametrize("text", ["100000 100000", "50000 100000"])
def test_cpu_limit_of_the_container_counts(text: str, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text, encoding="ascii")
    assert available(tmp_path) == 1


def test_cpu_limit_of_an_older_kernel_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000", encoding="ascii")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000", encoding="ascii")
    assert available(tmp_path) == 1


@pytest.mark.parametrize("text", ["max 100000", ""])
def test_without_a_limit_all_cpus_count(text: str, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text, encoding="ascii")
    assert available(tmp_path) == available(Path("/nowhere"))
