"""What a file is that can't be decoded as an image, by its first bytes, and what to do about it."""

import contextlib
import re
import struct
from pathlib import Path

from vott_trainer.data import tiff_layout

HEAD = 4096  # bytes

_CONVERT = "which is not supported: save it as JPEG, PNG, WebP or AVIF"
_IMAGES = {
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL \r\n\x87\n": "a JPEG XL image",
    b"\0\0\0\x0cjP  \r\n\x87\n": "a JPEG 2000 image",
    b"\xff\x4f\xff\x51": "a JPEG 2000 image",
    b"II\xbc": "a JPEG XR image",
    b"8BPS": "a Photoshop file",
    b"gimp xcf": "a GIMP file",
    b"%!PS": "a PostScript file",
    b"\xc5\xd0\xd3\xc6": "a PostScript file",
    b"AT&TFORM": "a DjVu document",
    b"\0\0\1\0": "an icon file",
    b"\x01\xda": "an SGI image",
    b"icns": "an icon file",
    b"qoif": "a QOI image",
    b"BPG\xfb": "a BPG image",
    b"DDS ": "a DDS texture",
    b"v/1\1": "an OpenEXR image",
    b"#?RADIANCE": "a Radiance HDR image",
    b"SIMPLE  =": "a FITS image",
    b"\xd7\xcd\xc6\x9a": "a Windows metafile",
    b"ZISRAWFILE": "a Zeiss microscope file (CZI)",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
}
_RAW = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb")
_VIDEOS = (b"\x1aE\xdf\xa3", b"OggS", b"FLV\1", b"\0\0\1\xba", b"\0\0\1\xb3", b"0&\xb2u\x8ef\xcf\x11", b"ID3", b"fLaC")
_OLD_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # names of a first box that is no ftyp
_OTHERS = {
    b"PK\3\4": "a ZIP archive or an Office document",
    b"\x1f\x8b": "a file compressed with gzip",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"BZh": "a file compressed with bzip2",
    b"\xfd7zXZ\0": "a file compressed with xz",
    b"\x28\xb5\x2f\xfd": "a file compressed with Zstandard",
    b"\xd0\xcf\x11\xe0": "an Office document or a Thumbs.db",
    b"L\0\0\0\1\x14\2\0": "a Windows shortcut",
    b"\0\5\x16\7": "macOS's data about a file (._NAME)",
    b"version https://git-lfs": "a Git LFS pointer (run `git lfs pull`)",
    b"/annex/objects/": "a git-annex pointer (run `git annex get`)",
    b"{\\rtf": "a text document (RTF)",
    b"SQLite format 3\0": "an SQLite database",
    b"PAR1": "a Parquet file",
    **dict.fromkeys((b"data:image/", b"/9j/", b"iVBORw0KGgo", b"R0lGOD", b"UklGR"), "an image in base64 text"),
    **dict.fromkeys(
        (b"\xef\xbf\xbd" * 4, b"\xef\xbf\xbdPNG", b"\xc3\xbf\xc3\x98\xc3\xbf", b"\xc2\x89PNG"),
        "the bytes of an image that a program has converted as text",
    ),
}
_SUPPORTED = {
    b"\xff\xd8\xff": "a JPEG",
    b"\x89PNG": "a PNG",
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    **dict.fromkeys(tiff_layout.STARTS, "a TIFF"),
}
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), f"a HEIC photo, {_CONVERT}"),
    **dict.fromkeys((b"mif1", b"msf1", b"mif2", b"unif"), f"a HEIF image, {_CONVERT}"),
    b"crx ": tiff_layout.RAW,
}  # of an ISO base media file (ISO/IEC 14496-12), the most specific first
_STORE_ERROR = re.compile(rb"<Error>\s*<Code>(\w{1,60})</Code>")
_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_PAGE = re.compile(rb"<!doctype html|<(?:html|head|body|script|h1)[\s>]", re.IGNORECASE)
_JSON = re.compile(rb"[{\[]\s*(?:[\"\[{\]}\d-]|true|false|null|\Z)")
_PATTERNS = {
    re.compile(rb"P[1-7Ff]\s"): "a PNM image",
    re.compile(rb".{128}DICM", re.DOTALL): "a DICOM image",
    re.compile(rb"\0\0[\x02\x0a]\0{5}.{8}[\x10\x18\x20]", re.DOTALL): "a TGA image",
    re.compile(rb"\0\0\x02\0[^\0]\0"): "an icon file",  # a cursor
    re.compile(rb"\x0a[\0\x02-\x05]\x01[\x01\x02\x04\x08]"): "a PCX image",
    re.compile(rb"\x01\0\0\0.{36} EMF", re.DOTALL): "a Windows metafile",
    re.compile(rb"\s{0,99}%PDF"): "a PDF document",
}


def why_no_image(path: Path) -> str:
    """Say what a file is that can't be decoded, and what to do, as a finding does. A guess for damaged files."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.strip(b"\0"):
        return f"{'a file of zeros' if head else 'an empty file'}: upload the image again"
    return _media(head) or _tiff(path, head) or _by_start(head) or _text(_in_utf_8(head))


def _media(head: bytes) -> str:
    """Recognize files of boxes (HEIC, MP4) and of RIFF chunks (WebP, AVI)."""
    if head[4:8] == b"ftyp":
        size = int.from_bytes(head[:4])
        brands = [head[8:12], *(head[start : start + 4] for start in range(16, min(size, HEAD), 4))]
        if {b"avif", b"avis"} & set(brands):
            return _damaged("an AVIF")
        return next((text for brand, text in _BRANDS.items() if brand in brands), _video())
    if head[4:8] in _OLD_QUICKTIME or _is_transport_stream(head):
        return _video()
    if head.startswith(b"RIFF"):
        return _damaged("a WebP") if head[8:12] == b"WEBP" else _video()
    return _video() if head.startswith(_VIDEOS) else ""


def _tiff(path: Path, head: bytes) -> str:
    if head.startswith(_RAW) or (head.startswith(tiff_layout.STARTS) and head[8:10] == b"CR"):
        return tiff_layout.RAW
    if head.startswith(tiff_layout.STARTS):
        with contextlib.suppress(struct.error, OSError, ValueError, IndexError):
            return tiff_layout.why_unreadable(path)
    return ""


def _by_start(head: bytes) -> str:
    image = next((name for start, name in _IMAGES.items() if head.startswith(start)), "")
    image = image or next((name for pattern, name in _PATTERNS.items() if pattern.match(head)), "")
    if image:
        return f"{image}, {_CONVERT}"
    if found := next((name for start, name in _SUPPORTED.items() if head.startswith(start)), ""):
        return _damaged(found)
    other = next((name for start, name in _OTHERS.items() if head.startswith(start)), "")
    other = other or ("a tar archive" if head[257:262] == b"ustar" else "")
    return f"{other}, not an image: upload the image itself" if other else ""


def _is_transport_stream(head: bytes) -> bool:
    """Whether these are packets of 188 bytes (ISO/IEC 13818-1)."""
    return len(head) > 2 * 188 and {head[0], head[188], head[376]} == {0x47}


def _in_utf_8(text: bytes) -> bytes:
    """Return a text of any Unicode encoding in UTF-8, without byte order mark and blanks before it; other bytes as they are."""
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = text[: len(text) // 2 * 2].decode("utf-16", "replace").encode()
    return text.removeprefix(b"\xef\xbb\xbf").lstrip()


def _text(text: bytes) -> str:
    if _SVG.search(text):
        return f"an SVG drawing, {_CONVERT}"
    if _PAGE.search(text):
        return "a web page, such as a sign-in, not an image: use a link to the image itself"
    if code := _STORE_ERROR.search(text):
        return f"a store's error message ({code[1].decode()}), not an image: upload the image itself"
    kind = _kind_of_text(text)
    return f"{kind}, not an image: upload the image itself" if kind else "no image of a known format"


def _kind_of_text(text: bytes) -> str:
    if text.startswith(b"<"):
        return "XML"
    if _JSON.match(text):
        return "JSON"
    characters = text.decode("utf-8", "ignore")
    is_text = len(characters) > 0.9 * len(text) and all(
        character.isprintable() or character.isspace() for character in characters
    )
    return "text" if is_text else ""


def _damaged(image: str) -> str:
    return f"{image} that is damaged or truncated: upload it again"


def _video() -> str:
    return "a video or sound: export its frames as images"
