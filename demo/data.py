"""The user's own images and annotations: an archive is uploaded as it is, a folder as an archive of its files."""

import contextlib
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from demo.errors import SetupError


@contextlib.contextmanager
def archive_of(data: Path) -> Iterator[Path]:
    """Yield an archive with the files of a folder, or the archive itself.

    Raises:
        SetupError: `data` is neither, or an empty folder.
    """
    if data.is_dir():
        with tempfile.TemporaryDirectory() as folder:
            yield _packed(data, Path(folder) / f"{data.resolve().name}.zip")
    elif data.is_file() and (zipfile.is_zipfile(data) or tarfile.is_tarfile(data)):
        yield data
    else:
        raise SetupError(
            f"DATA must be a folder or an archive (.zip, .tar, .tar.gz) with images and annotations, found {data}."
        )


def _packed(folder: Path, archive: Path) -> Path:
    """Pack the files of a folder without compression, since images hardly compress. Hidden files stay out."""
    names = {path: path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()}
    shown = {path: name for path, name in names.items() if not any(part.startswith(".") for part in name.parts)}
    if not shown:
        raise SetupError(f"The folder {folder} has no files.")
    with zipfile.ZipFile(archive, "w", strict_timestamps=False) as packed:
        for path, name in shown.items():
            packed.write(path, name)
    return archive
