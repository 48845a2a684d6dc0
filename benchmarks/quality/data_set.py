"""A folder of images with their annotation file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import click

PATTERNS = ("*.csv", "*.json")


@dataclass(frozen=True)
class DataSet:
    """A folder that is served to the trainer, and the annotation file in it."""

    folder: Path
    annotations: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def annotations_path(self) -> str:
        """The annotation file relative to the folder, percent-encoded as in a URL."""
        return quote(self.annotations.relative_to(self.folder).as_posix())


def find_all(paths: Sequence[str]) -> list[DataSet]:
    """Find the data sets.

    Raises:
        click.UsageError: there is none, one can't be found, or two have the same name.
    """
    if not paths:
        raise click.UsageError("Name a folder with images and their annotation file: make bench-quality DATA=folder")
    found = [find(Path(path)) for path in paths]
    names = [data_set.name for data_set in found]
    if same := {name for name in names if names.count(name) > 1}:
        raise click.UsageError(f"Two folders are named {', '.join(same)}: rename one, since the results use the name.")
    return found


def find(path: Path) -> DataSet:
    """Return the data set in a folder, or of an annotation file.

    Without a CSV or JSON file in the folder, its subfolders are searched: some programs export to `annotations/`.

    Raises:
        click.UsageError: there is no annotation file, or there are several.
    """
    path = path.expanduser().resolve()
    if path.is_file():
        return DataSet(path.parent, path)
    if not path.is_dir():
        raise click.UsageError(f"{path} does not exist.")
    for below in ("", "*/"):
        candidates = sorted(file for pattern in PATTERNS for file in path.glob(below + pattern))
        if len(candidates) == 1:
            return DataSet(path, candidates[0])
        if candidates:
            names = ", ".join(file.relative_to(path).as_posix() for file in candidates[:5])
            raise click.UsageError(f"{path} has several annotation files: {names}. Name one instead of the folder.")
    raise click.UsageError(f"{path} has no annotation file (*.csv or *.json, see docs/annotations.md).")
