"""Validation of object names before they become part of a request."""

import re

from vott_trainer.errors import InvalidURLError


def is_plain_path(path: str) -> bool:
    """Whether no part of a percent-decoded path is empty, `.` or `..`, and none has control characters.

    Clients and servers resolve dots after the path was checked. S3's client refuses control characters. Azure treats a backslash as a slash.
    """
    return not {"", ".", ".."} & set(re.split(r"[/\\]", path)) and not re.search(r"[\x00-\x1f\x7f]", path)


def checked_name(name: str) -> str:
    """Return the name of an object below a prefix, checked last before the request.

    Raises:
        InvalidURLError: it would lead elsewhere.
    """
    if not is_plain_path(name):
        raise InvalidURLError(f"{name!r} is not an object's name: it has empty parts, dots or control characters.")
    return name
