"""The keys that sign callbacks, from a mounted Secret."""

from pathlib import Path

from vott_guard.webhooks import Keys
from vott_messaging.errors import SettingsError

FILES = ("current", "previous")


def read_signing_keys(folder: Path | None) -> Keys:
    """The current keys, newest first; no keys without a folder. Raises SettingsError, which does not show them."""
    if folder is None:
        return Keys()
    try:
        keys = Keys.parse("\n".join(_read(folder / name) for name in FILES))
    except ValueError as error:
        raise SettingsError(f"callbacks.signing: {error} (in {folder})") from None
    if not keys.keys:
        raise SettingsError(f"callbacks.signing: there is no key in {folder}; put one into the Secret's key `current`")
    return keys


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:  # a ValueError with the file's content in its text
        raise ValueError(f"{file.name} is not text") from None
    except OSError as error:
        raise ValueError(f"{file.name} can't be read: {error.strerror}") from None
