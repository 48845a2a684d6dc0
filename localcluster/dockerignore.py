"""Which files of a build context count, as ``.dockerignore`` says it."""

import os
import re
from fnmatch import fnmatch
from pathlib import Path


class DockerIgnore:
    """The rules of one context; the last rule that matches a file or a folder above it decides."""

    def __init__(self, context: Path) -> None:
        file = context / ".dockerignore"
        lines = [line.strip() for line in file.read_text().splitlines()] if file.exists() else []
        patterns = [line for line in lines if line and not line.startswith("#")]
        self._context = context
        self._kept_starts = [pattern[1:].strip("/").split("/")[0] for pattern in patterns if pattern.startswith("!")]
        self._rules = [(_expression(pattern.removeprefix("!")), not pattern.startswith("!")) for pattern in patterns]

    def files(self) -> list[Path]:
        """All files of the context that are not ignored."""
        found = []
        for folder, folders, files in os.walk(self._context):
            here = Path(folder).relative_to(self._context)
            folders[:] = [name for name in folders if self._may_hold_files(here / name)]
            found += [self._context / here / name for name in files if not self.ignores(here / name)]
        return sorted(found)

    def _may_hold_files(self, folder: Path) -> bool:
        """Whether anything below a folder can count; environments and caches with their thousands of files are not even looked at."""
        return not self.ignores(folder) or any(fnmatch(folder.parts[0], start) for start in self._kept_starts)

    def ignores(self, path: Path) -> bool:
        """Whether the file at this relative path is left out."""
        names = [str(path), *(str(parent) for parent in path.parents if parent != Path())]
        ignored = False
        for expression, excludes in self._rules:
            if any(expression.fullmatch(name) for name in names):
                ignored = excludes
        return ignored


def _expression(pattern: str) -> re.Pattern[str]:
    """Go's ``filepath.Match`` with ``**`` for any number of folders."""
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.strip("/"))
    return re.compile("".join(pieces.get(part, re.escape(part)) for part in parts))
