"""A file that is no image is named for what it is, whatever its name says."""

import bz2
import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainer.hostile_images import NOT_SUPPORTED, PLAIN, damaged, encoded
from vott_trainer.data.decoding import open_rgb
from vott_trainer.data.errors import UnsupportedImageError

UPLOAD = "not an image: upload the image itself"
RAW = "a camera's raw file: develop it, and save it as JPEG or PNG"
VIDEO = "a video or sound: export its frames as images"
BOM = b"\xef\xbb\xbf"


def boxes(*brands: bytes) -> bytes:
    """An ISO base media file of these brands."""
    return struct.pack(">I4s4sI", 12 + 4 * len(brands), b"ftyp", brands[0], 0) + b"".join(brands[1:]) + bytes(99)


def zipped() -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("image.png", encoded(PLAIN, "PNG"))
    return file.getvalue()


def array() -> bytes:
    np.save(file := io.BytesIO(), np.zeros(3))
    return file.getvalue()


KINDS = {
    "an iPhone's photo": (boxes(b"heic", b"mif1", b"heic"), f"a HEIC photo, {NOT_SUPPORTED}"),
    "a photo of 10 bits": (boxes(b"heix", b"mif1"), f"a HEIC photo, {NOT_SUPPORTED}"),
    "a HEIC of a general brand": (boxes(b"mif1", b"miaf", b"heic"), f"a HEIC photo, {NOT_SUPPORTED}"),
    "a series of HEIC": (boxes(b"msf1", b"hevc"), f"a HEIC photo, {NOT_SUPPORTED}"),
    "another HEIF": (boxes(b"mif1", b"jpeg"), f"a HEIF image, {NOT_SUPPORTED}"),
    "an AVIF without content": (boxes(b"avif", b"mif1"), "an AVIF that is damaged or truncated: upload it again"),
    "JPEG XL": (b"\xff\x0a" + bytes(99), f"a JPEG XL image, {NOT_SUPPORTED}"),
    "JPEG XL in boxes": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), f"a JPEG XL image, {NOT_SUPPORTED}"),
    "JPEG 2000": (encoded(PLAIN, "JPEG2000"), f"a JPEG 2000 image, {NOT_SUPPORTED}"),
    "JPEG 2000 without boxes": (encoded(PLAIN, "JPEG2000", no_jp2=True), f"a JPEG 2000 image, {NOT_SUPPORTED}"),
    "Photoshop": (b"8BPS\0\1" + bytes(99), f"a Photoshop file, {NOT_SUPPORTED}"),
    "EPS": (encoded(PLAIN, "EPS"), f"a PostScript file, {NOT_SUPPORTED}"),
    "PDF": (encoded(PLAIN, "PDF"), f"a PDF document, {NOT_SUPPORTED}"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', f"an SVG drawing, {NOT_SUPPORTED}"),
    "SVG of a drawing program": (
        BOM
        + b'<?xml version="1.0"?>\n<!-- drawn -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x">\n<svg width="9">',
        f"an SVG drawing, {NOT_SUPPORTED}",
    ),
    "PNM": (encoded(PLAIN, "PPM"), f"a PNM image, {NOT_SUPPORTED}"),
    "ICO": (encoded(PLAIN, "ICO"), f"an icon file, {NOT_SUPPORTED}"),
    "DDS": (encoded(PLAIN, "DDS"), f"a DDS texture, {NOT_SUPPORTED}"),
    "DICOM": (bytes(range(128)) + b"DICM" + bytes(99), f"a DICOM image, {NOT_SUPPORTED}"),
    "DICOM with an empty preamble": (bytes(128) + b"DICM" + bytes(99), f"a DICOM image, {NOT_SUPPORTED}"),
    "an array": (array(), f"a NumPy array, {NOT_SUPPORTED}"),
    "a cursor": (b"\0\0\2\0\1\0" + bytes(99), f"an icon file, {NOT_SUPPORTED}"),
    "TGA": (encoded(PLAIN, "TGA"), f"a TGA image, {NOT_SUPPORTED}"),
    "compressed TGA": (encoded(PLAIN, "TGA", compression="tga_rle"), f"a TGA image, {NOT_SUPPORTED}"),
    "PCX": (encoded(PLAIN, "PCX"), f"a PCX image, {NOT_SUPPORTED}"),
    "SGI": (encoded(PLAIN, "SGI"), f"an SGI image, {NOT_SUPPORTED}"),
    "EMF": (b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(99), f"a Windows metafile, {NOT_SUPPORTED}"),
    "PDF after a blank line": (b"\r\n" + encoded(PLAIN, "PDF"), f"a PDF document, {NOT_SUPPORTED}"),
    "SVG in UTF-16": ('<svg xmlns="http://www.w3.org/2000/svg"/>'.encode("utf-16"), f"an SVG drawing, {NOT_SUPPORTED}"),
    "CR3": (boxes(b"crx ", b"isom"), RAW),
    "RAF": (b"FUJIFILMCCD-RAW 0201", RAW),
    "ORF": (b"IIRO\x08\0\0\0" + bytes(99), RAW),
    "RW2": (b"IIU\0\x18\0\0\0" + bytes(99), RAW),
    "MP4": (boxes(b"isom", b"iso2", b"avc1"), VIDEO),
    "a live photo's film": (boxes(b"qt  "), VIDEO),
    "an old QuickTime film": (b"\0\0\1\0moov" + bytes(99), VIDEO),
    "a transport stream": ((b"G@\0\x10" + b"\xff" * 184) * 3, VIDEO),
    "MP3": (b"ID3\4\0" + bytes(99), VIDEO),
    "WebM": (b"\x1aE\xdf\xa3" + bytes(99), VIDEO),
    "AVI": (b"RIFF\x99\0\0\0AVI LIST", VIDEO),
    "ZIP": (zipped(), f"a ZIP archive or an Office document, {UPLOAD}"),
    "gzip": (b"\x1f\x8b\x08" + zlib.compress(b"x"), f"a file compressed with gzip, {UPLOAD}"),
    "tar": (b"photo.jpg" + bytes(248) + b"ustar\x0000" + bytes(99), f"a tar archive, {UPLOAD}"),
    "xz": (lzma.compress(b"x"), f"a file compressed with xz, {UPLOAD}"),
    "bzip2": (bz2.compress(b"x"), f"a file compressed with bzip2, {UPLOAD}"),
    "RTF": (rb"{\rtf1\ansi photo}", f"a text document (RTF), {UPLOAD}"),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), f"an Office document or a Thumbs.db, {UPLOAD}"),
    "AppleDouble": (b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(99), f"macOS's data about a file (._NAME), {UPLOAD}"),
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        f"a Git LFS pointer (run `git lfs pull`), {UPLOAD}",
    ),
    "base64": (b"iVBORw0KGgoAAAANSUhEUg==", f"an image in base64 text, {UPLOAD}"),
    "data URL": (b"data:image/jpeg;base64,/9j/4AAQ", f"an image in base64 text, {UPLOAD}"),
    "a GIF in base64": (b"R0lGODlhAQABAIAAAAAAAP", f"an image in base64 text, {UPLOAD}"),
    "a JPEG with replaced bytes": (
        encoded(PLAIN, "JPEG").decode("utf-8", "replace").encode(),
        f"the bytes of an image that a program has converted as text, {UPLOAD}",
    ),
    "a PNG taken for Latin-1": (
        encoded(PLAIN, "PNG").decode("latin-1").encode(),
        f"the bytes of an image that a program has converted as text, {UPLOAD}",
    ),
    "an error page without a head": (
        b"<h1>404 Not Found</h1>",
        "a web page, such as a sign-in, not an image: use a link to the image itself",
    ),
    "a page in UTF-16": (
        "<html><body>Sign in".encode("utf-16"),
        "a web page, such as a sign-in, not an image: use a link to the image itself",
    ),
    "sign-in page": (
        b"\n<!DOCTYPE html>\n<html lang='en'><head><title>Sign in</title>",
        "a web page, such as a sign-in, not an image: use a link to the image itself",
    ),
    "XHTML": (
        b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">',
        "a web page, such as a sign-in, not an image: use a link to the image itself",
    ),
    "error of Azure": (
        BOM + b'<?xml version="1.0" encoding="utf-8"?><Error><Code>BlobNotFound</Code><Message>The specified',
        f"a store's error message (BlobNotFound), {UPLOAD}",
    ),
    "error of S3": (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied',
        f"a store's error message (AccessDenied), {UPLOAD}",
    ),
    "XML": (b"<annotation><folder>cats</folder>", f"XML, {UPLOAD}"),
    "JSON": (b'{"error": "not found"}', f"JSON, {UPLOAD}"),
    "a list in JSON": (b" [1, 2]", f"JSON, {UPLOAD}"),
    "a link of Windows": (b"[InternetShortcut]\r\nURL=https://store.example/a.jpg\r\n", f"text, {UPLOAD}"),
    "text in UTF-16": ("Zugriff verweigert".encode("utf-16"), f"text, {UPLOAD}"),
    "text": ("Zugriff verweigert: größer\n".encode(), f"text, {UPLOAD}"),
    "nothing": (b"", "an empty file: upload the image again"),
    "zeros": (bytes(5000), "a file of zeros: upload the image again"),
    "noise": (bytes(range(255, 0, -1)), "no image of a known format"),
    "a cut JPEG": (encoded(PLAIN, "JPEG")[:300], damaged("JPEG")),
    "a cut PNG": (encoded(PLAIN, "PNG")[:60], damaged("PNG")),
    "a cut GIF": (encoded(PLAIN, "GIF")[:20], damaged("GIF")),
    "a cut BMP": (encoded(PLAIN, "BMP")[:60], damaged("BMP")),
    "a cut TIFF": (encoded(PLAIN, "TIFF")[:60], damaged("TIFF")),
    "a cut WebP": (encoded(PLAIN, "WEBP")[:40], damaged("WebP")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_file_is_named_for_what_it_is(kind: str, tmp_path: Path) -> None:
    content, reason = KINDS[kind]
    (path := tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(UnsupportedImageError) as error:
        open_rgb(path)
    assert str(error.value) == reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF"])
def test_image_of_another_name_is_decoded(kind: str, tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), "red").save(path := tmp_path / "IMG_1.HEIC", kind)
    assert open_rgb(path).size == (40, 20)
