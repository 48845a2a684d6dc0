"""The files of a build context."""

from pathlib import Path

import pytest

from localcluster.dockerignore import DockerIgnore


def _context(folder: Path, rules: str, *files: str) -> list[str]:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file)
    (folder / ".dockerignore").write_text(rules)
    return [str(path.relative_to(folder)) for path in DockerIgnore(folder).files()]


def test_without_rules_all_files_are_included(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert DockerIgnore(tmp_path).files() == [tmp_path / "a"]


def test_an_allow_list_includes_a_folder_with_everything_below_it(tmp_path: Path) -> None:
    included = _context(
        tmp_path, "*\n!operator\n!README.md\n", "operator/a/b.py", "README.md", "docs/x.md", "operators/c.py"
    )
    assert included == ["README.md", "operator/a/b.py"]


def test_the_last_matching_rule_applies(tmp_path: Path) -> None:
    included = _context(tmp_path, "*\n!operator\n**/__pycache__\n", "operator/__pycache__/a.pyc", "operator/a.py")
    assert included == ["operator/a.py"]


def test_a_later_rule_includes_files_below_an_ignored_folder(tmp_path: Path) -> None:
    included = _context(tmp_path, "*\n!a/b/c\n", "a/b/c/d", "a/b/x", "other/a/b/c/d")
    assert included == ["a/b/c/d"]


@pytest.mark.parametrize(
    ("rule", "path", "ignored"),
    [
        ("*.md", "README.md", True),
        ("*.md", "docs/README.md", False),
        ("**/*.md", "docs/deep/README.md", True),
        ("docs/*/a", "docs/x/a", True),
        ("docs/*/a", "docs/x/y/a", False),
        ("/docs/", "docs/x", True),
        ("a?c", "abc", True),
        ("a.c", "abc", False),
    ],
)
def test_patterns_match_as_in_docker(tmp_path: Path, rule: str, path: str, ignored: bool) -> None:
    (tmp_path / ".dockerignore").write_text(f"# a comment\n\n{rule}\n")
    assert DockerIgnore(tmp_path).ignores(Path(path)) is ignored
