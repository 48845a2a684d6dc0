"""Names of YOLO's classes, which have numbers in the label files: `data.yaml` of Ultralytics and Roboflow, and lists with a name on each line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from vott_trainer.annotations import limits, text_file
from vott_trainer.annotations.archives.contents import File, common
from vott_trainer.annotations.model import FormatError
from vott_trainer.annotations.values import excerpt, is_number

MAX_BYTES = 256 << 10
MAX_BRACKETS = 100  # of a YAML file; the time that PyYAML takes grows with the square of their depth
LISTS = frozenset(
    (
        "classes.txt",
        "class_names.txt",
        "classnames.txt",
        "labels.txt",
        "names.txt",
        "obj.names",
        "predefined_classes.txt",
    )
)
SETTINGS = frozenset((".yaml", ".yml"))

Names = dict[int, str]


def is_list(file: File) -> bool:
    """Whether a file has a name of a class on each line."""
    return file.suffix in (".names", ".labels") or file.parts[-1].lower() in LISTS


@dataclass(frozen=True)
class ClassNames:
    """The names by number, of each file that has some. Without any, the numbers are the names."""

    found: list[tuple[File, Names]]
    keypoints: bool = False

    @classmethod
    def read(cls, texts: Iterable[File]) -> "ClassNames":
        """Read the names of the classes.

        Raises:
            FormatError: such a file can't be read.
        """
        found, keypoints = list[tuple[File, Names]](), False
        for file in texts:
            if is_list(file):
                found.append((file, dict(enumerate(_lines(file)))))
            elif file.suffix in SETTINGS and (settings := _settings(file)):
                if names := dict(_names(settings.get("names"), file)):
                    found.append((file, names))
                keypoints |= "kpt_shape" in settings
        return cls(found, keypoints)

    def of(self, number: str, labels: File) -> str:
        """Return the name of a class in a label file.

        Raises:
            FormatError: it is no number, or one without a name.
        """
        if not is_number(number) or not 0 <= (index := float(number)) < limits.MAX_CLASSES or not index.is_integer():
            raise FormatError(f"expected the number of a class, found {excerpt(number)}")
        if not self.found:
            return str(int(index))
        file, names = self._nearest(labels)
        if not (name := names.get(int(index))):
            raise FormatError(f"expected a class of {file.name}, which has {len(names)}, found the number {int(index)}")
        return name

    def _nearest(self, labels: File) -> tuple[File, Names]:
        """Return the names that share most folders with the label file."""

        def shared(file: File) -> int:
            return common(file.parts[:-1], labels.parts[:-1])

        most = max(shared(file) for file, _ in self.found)
        file, names = next(one for one in self.found if shared(one[0]) == most)
        for other, others in self.found:
            if shared(other) == most and others != names:
                raise FormatError(f"expected one list of classes, found {file.name} and {other.name}, which differ")
        return file, names


def _lines(file: File) -> list[str]:
    return _text(file).rstrip().splitlines()


def _text(file: File) -> str:
    if file.path.stat().st_size > MAX_BYTES:
        raise FormatError(f"{file.name} is larger than {MAX_BYTES >> 10} KiB, the limit for names of classes")
    try:
        with text_file.in_utf8(file.path) as readable:
            return readable.read_bytes().decode("utf-8-sig")
    except UnicodeError as error:
        raise FormatError(f"{file.name} expected text in UTF-8, found other bytes: save it as UTF-8") from error


def _settings(file: File) -> dict[str, Any] | None:
    """Parse a YAML file: every value is text, so that `no` is a name, and nothing is executed or merged."""
    text = _text(file)
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise FormatError(f"{file.name} expected at most {MAX_BRACKETS} brackets, found more")
    try:
        settings = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 # nosec B506 # the base loader makes only text, lists and dicts
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise FormatError(f"{file.name} expected YAML, found {' '.join(str(error).split())[:200]}") from error
    return settings if isinstance(settings, dict) else None


def _names(names: Any, file: File) -> Iterator[tuple[int, str]]:
    listed = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list) else ()
    for number, name in listed:
        if not isinstance(name, str) or not str(number).isdecimal() or len(str(number)) > len(str(limits.MAX_CLASSES)):
            raise FormatError(f"{file.name} expected names to be a list of the classes, found {excerpt(name)}")
        yield int(number), name
