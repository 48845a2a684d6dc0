"""Unpack an archive within limits. What it writes has numbers for names; what an archive asks for decides nothing."""

import itertools
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from vott_trainer.annotations import limits, other_formats
from vott_trainer.annotations.archives.contents import IMAGES, TEXTS, Contents, write_index
from vott_trainer.annotations.archives.file_types import Archive
from vott_trainer.annotations.archives.packed_files import PackedFile, packed_files
from vott_trainer.annotations.model import FormatError, LimitExceededError
from vott_trainer.annotations.values import excerpt, is_single_line

_ABSOLUTE = re.compile(r"/|[A-Za-z]:")
_OFFICE = "[Content_Types].xml"


def unpack(archive: Path, kind: Archive, folder: Path) -> Contents:
    """Unpack the images and texts into `folder`, which is complete when this returns; other files are only counted.

    Raises:
        FormatError: the archive is damaged, encrypted, or holds a name that leads out of it or occurs twice.
        LimitExceededError: it exceeds the limits.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    partial.mkdir(parents=True)
    unpacking = _Unpacking(partial, archive.stat().st_size)
    with packed_files(archive, kind) as files:
        for count, file in enumerate(files, start=1):
            if count > limits.MAX_FILES:
                raise LimitExceededError(f"holds more than {limits.MAX_FILES:,} files")
            unpacking.add(file)
    write_index(partial, unpacking.files, dict(unpacking.ignored), unpacking.links)
    partial.replace(folder)
    return Contents.read(folder)


@dataclass
class _Unpacking:
    folder: Path
    packed_bytes: int
    unpacked_bytes: int = 0
    names: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def add(self, file: PackedFile) -> None:
        """Take in a file."""
        if file.name == _OFFICE:
            raise FormatError("is a workbook or another document of an office program: save its table as CSV UTF-8")
        name = _name(file.name)
        if name in self.names:
            raise FormatError(f"holds {excerpt(name)} twice")
        self.names.add(name)
        self._count(file)
        suffix = next(filter(name.lower().endswith, other_formats.ENDINGS), Path(name).suffix.lower())
        if any(part.startswith(".") or part == "__MACOSX" for part in name.split("/")):  # made by operating systems
            return
        if file.open is None:
            self.links.append(name)
        elif suffix not in IMAGES | TEXTS:
            self.ignored[suffix if len(suffix) <= 20 else ""] += 1
        else:
            number = str(next(self.numbers))
            with file.open() as content, (self.folder / number).open("xb") as target:
                shutil.copyfileobj(content, target)
            self.files[name] = number

    def _count(self, file: PackedFile) -> None:
        self.unpacked_bytes += file.size
        if self.unpacked_bytes > limits.MAX_UNPACKED_BYTES:
            raise LimitExceededError(f"holds more than {limits.MAX_UNPACKED_BYTES >> 30} GiB, unpacked")
        if self.unpacked_bytes > limits.RATIO_FREE_BYTES + limits.MAX_RATIO * self.packed_bytes:
            raise LimitExceededError(f"would grow to more than {limits.MAX_RATIO} times its size, unpacked")


def _name(raw: str) -> str:
    """Return a name with slashes, without empty parts and `.`.

    Raises:
        FormatError: it leads out of the archive, or is no name of a file.
    """
    if not raw.strip() or len(raw) > limits.MAX_PATH_LENGTH or not is_single_line(raw):
        raise FormatError(
            f"holds a file whose name is no text of up to {limits.MAX_PATH_LENGTH} characters: {excerpt(raw)}"
        )
    name = raw.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if _ABSOLUTE.match(name) or ".." in parts or not parts:
        raise FormatError(f"holds {excerpt(raw)}, which leads out of the archive")
    return "/".join(parts)
