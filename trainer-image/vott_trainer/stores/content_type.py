"""Content-Type of stored files."""

import mimetypes


def content_type(name: str) -> str:
    """Return the media type for a file name, so that a browser shows a report instead of downloading it."""
    if name.endswith((".tgz", ".tar.gz")):
        return "application/gzip"
    if name.endswith(".md"):
        return "text/markdown; charset=utf-8"
    media_type, _ = mimetypes.guess_type(name)
    if media_type and media_type.startswith("text/"):
        return f"{media_type}; charset=utf-8"
    return media_type or "application/octet-stream"
