"""The parent cgroup of all pods, with cgroup v1 and v2."""

from pathlib import Path

from localcluster.cgroups import ensure_cgroups, remove_cgroups


def _v2(root: Path) -> Path:
    group = root / "vott-train"
    group.mkdir()
    for folder in (root, group):
        (folder / "cgroup.controllers").write_text("cpuset cpu memory\n")
    (group / "cpuset.cpus").write_text("\n")  # created by the kernel; the root cgroup has none
    return group


def test_with_v1_each_controller_gets_a_cgroup_that_processes_can_join(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    group = tmp_path / "cpuset" / "vott-train"
    group.mkdir(parents=True)
    for file, value in (("cpuset.cpus", "0-3\n"), ("cpuset.mems", "0\n")):
        (group.parent / file).write_text(value)
        (group / file).write_text("\n")
    ensure_cgroups(tmp_path)
    assert (tmp_path / "memory" / "vott-train").is_dir()
    assert [(group / file).read_text() for file in ("cpuset.cpus", "cpuset.mems")] == ["0-3\n", "0\n"]


def test_with_v1_an_existing_cpuset_is_kept(tmp_path: Path) -> None:
    group = tmp_path / "cpuset" / "vott-train"
    group.mkdir(parents=True)
    (group.parent / "cpuset.cpus").write_text("0-3\n")
    (group / "cpuset.cpus").write_text("1\n")
    ensure_cgroups(tmp_path)
    assert (group / "cpuset.cpus").read_text() == "1\n"


def test_with_v2_controllers_are_enabled_one_by_one_and_the_cpuset_is_kept(tmp_path: Path) -> None:
    group = _v2(tmp_path)
    ensure_cgroups(tmp_path)
    for folder in (tmp_path, group):
        assert (folder / "cgroup.subtree_control").read_text() == "+memory"  # from the last write
    assert (group / "cpuset.cpus").read_text() == "\n"


def test_with_v2_a_controller_that_can_not_be_enabled_is_skipped(tmp_path: Path) -> None:
    group = _v2(tmp_path)
    (tmp_path / "cgroup.subtree_control").mkdir()  # every write fails
    ensure_cgroups(tmp_path)
    assert (group / "cgroup.subtree_control").read_text() == "+memory"


def test_all_cgroups_are_removed(tmp_path: Path) -> None:
    (tmp_path / "memory" / "vott-train" / "pod" / "container").mkdir(parents=True)
    remove_cgroups(tmp_path)
    assert list((tmp_path / "memory").iterdir()) == []
