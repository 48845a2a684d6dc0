"""What the name of an image may stand for: percent-encoded or not, even twice; with a # or ? at which a URL would end; in another normal form.

VoTT writes `my photo #1.jpg` as `my%20photo%20%231.jpg` and gives its copies this name, literally. macOS and uploads change the Unicode normal
form of accents. Only the store knows which reading is right. Each function returns few of them, the one that a URL means first.
"""

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote, unquote

_ENDING = r"\.(?:avif|bmp|gif|hei[cf]|jfif|jpe?g|png|tiff?|webp)"
_IMAGE = re.compile(rf".*{_ENDING}", re.IGNORECASE | re.DOTALL)
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_NOT_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FRAME = re.compile(r".*#t=[\d.e-]+")  # VoTT adds .jpg when it exports the frame itself
_QUERY_OF_IMAGE = re.compile(rf"([^?]*{_ENDING})\?.*", re.IGNORECASE)
_URL = re.compile(r"([^:]*://[^/?#]*)([^?#]*)(.*)", re.DOTALL)
_NAME_AFTER_MARK = re.compile(rf"(?:#[^?&/]*|\?[^?&=/]*){_ENDING}(?=\?|\Z)", re.IGNORECASE)
_FRAME_AFTER_QUERY = re.compile(r"(\?[^#]*)?(#t=[\d.e-]+)")


def is_image_name(text: str) -> bool:
    """Whether a text ends like the name of an image file."""
    return bool(_IMAGE.fullmatch(text))


def of_name(name: str) -> list[str]:
    """Return the percent-encoded paths that a relative name may stand for; no query is one's own."""
    if (image := _QUERY_OF_IMAGE.fullmatch(name)) and not is_image_name(name):
        return _unique([*_paths(image[1]), quote(name)])
    return [path for text in ([f"{name}.jpg", name] if _FRAME.fullmatch(name) else [name]) for path in _paths(text)]


def of_url(url: str) -> list[str]:
    """Return the URLs that an http(s) URL may stand for."""
    parts = _URL.fullmatch(url)
    if not parts:
        return [url]
    origin, path, rest = parts.groups()
    readings = [url, *(f"{origin}{other}{rest}" for other in _paths(path)[1:])]
    if frame := _FRAME_AFTER_QUERY.fullmatch(rest):
        images = [f"{origin}{other}{frame[1] or ''}" for other in _paths(f"{path}{frame[2]}.jpg")]
        return _unique([*images, *readings])
    if not (name := _NAME_AFTER_MARK.match(rest)):
        return readings
    named = [f"{origin}{other}{rest[name.end() :]}" for other in _paths(path + name[0])]
    return _unique([*readings, *named] if is_image_name(path) else [*named, *readings])


def _paths(text: str) -> list[str]:
    """Return the percent-encoded readings of a path: decoded, as it stands, in the normal forms of its characters, decoded twice."""
    literal = quote(text)
    meant = quote(text, safe="/%") if not _NOT_ENCODED.search(text) else literal
    return _unique([meant, literal, *_other_forms(meant), *_decoded_once_more(text)])


def _other_forms(path: str) -> Iterator[str]:
    try:
        text = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return
    for form in ("NFC", "NFD"):
        if (other := unicodedata.normalize(form, text)) != text:
            yield quote(other)


def _decoded_once_more(text: str) -> Iterator[str]:
    decoded = unquote(text)
    if _ENCODED.search(decoded) and not _NOT_ENCODED.search(decoded):
        yield quote(decoded, safe="/%")


def _unique(readings: list[str]) -> list[str]:
    return list(dict.fromkeys(readings))
