"""The files of a build context according to ``.dockerignore``."""

import os
import re
from fnmatch import fnmatch
from pathlib import Path


class DockerIgnore:
    """The rules of one context; the last rule that matches a file or a parent folder applies."""

    def __init__(self, context: Path) -> None:
        file = context / ".dockerignore"
        lines = [line.strip() for line in file.read_text().splitlines()] if file.exists() else []
        patterns = [line for line in lines if line and not line.startswith("#")]
        self._context = context
        self._included_roots = [pattern[1:].strip("/").split("/")[0] for pattern in patterns if pattern.startswith("!")]
        self._rules = [(_expression(pattern.removeprefix("!")), not pattern.startswith("!")) for pattern in patterns]

    def files(self) -> list[Path]:
        """The files of the context that are not ignored."""
        included = []
        for folder, folders, files in os.walk(self._context):
            relative = Path(folder).relative_to(self._context)
            folders[:] = [name for name in folders if self._may_contain_files(relative / name)]
            included += [self._context / relative / name for name in files if not self.ignores(relative / name)]
        return sorted(included)

    def _may_contain_files(self, folder: Path) -> bool:
        """Whether a folder can contain included files; skips virtual environments and caches with thousands of files."""
        return not self.ignores(folder) or any(fnmatch(folder.parts[0], root) for root in self._included_roots)

    def ignores(self, path: Path) -> bool:
        """Whether the file at this relative path is ignored."""
        names = [str(path), *(str(parent) for parent in path.parents if parent != Path())]
        ignored = False
        for expression, excludes in self._rules:
            if any(expression.fullmatch(name) for name in names):
                ignored = excludes
        return ignored


def _expression(pattern: str) -> re.Pattern[str]:
    """Translate a pattern of Go's ``filepath.Match``, with ``**`` for any number of folders."""
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.strip("/"))
    return re.compile("".join(pieces.get(part, re.escape(part)) for part in parts))
