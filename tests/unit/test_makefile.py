"""The Makefile's own promises."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_clean_removes_everything_that_git_ignores() -> None:
    folders = re.findall(r"^/(.+)/$", (ROOT / ".gitignore").read_text(), re.MULTILINE)
    recipe = (ROOT / "Makefile").read_text().partition("\nclean:")[2].partition("\n\n")[0].replace("$(VENV)", ".venv")
    assert "dist" in folders
    assert set(folders) <= set(recipe.split())
