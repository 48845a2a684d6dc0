"""Limits of scans, segments, fill bytes and bits of a JPEG, checked before it is decoded.

Each scan of a progressive JPEG covers all pixels and takes only a few bytes, so decoding a small file could take hours. The markers are
found as libjpeg, the decoder, finds them: segment payloads and bytes after the image are skipped.
"""

import mmap
import re
from pathlib import Path

MAX_SCANS = 100  # a usual image has about ten
MAX_SEGMENTS = 10_000  # Pillow keeps each of them; a large colour profile or thermal image has some hundred
MAX_FILL_BYTES = 1 << 12  # before a marker; libjpeg scans them again with each block of the file
START = b"\xff\xd8\xff"
MARKER = re.compile(b"\xff[\xc0-\xcf\xd9-\xfe]")  # all but restarts and markers without payload (ITU-T T.81, B.1.1.3)
FILL = re.compile(b"\xff" * MAX_FILL_BYTES)
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # one for each coding; the others are tables


def why_refused(path: Path) -> str:
    """Return which limit a JPEG exceeds; empty if none, or if the file is no JPEG."""
    with path.open("rb") as file:
        if file.read(len(START)) != START:
            return ""
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _why_refused(content)


def _why_refused(content: mmap.mmap) -> str:
    """Walk the markers up to the end of image after a scan; libjpeg continues after an end that follows tables only."""
    scans, position = 0, len(START) - 1
    for _ in range(MAX_SEGMENTS):
        found = MARKER.search(content, position)
        end = found.end() if found else len(content)
        if FILL.search(content, position, end):
            return f"a JPEG with more than {MAX_FILL_BYTES:,} fill bytes"
        if not found:
            return ""
        marker = content[end - 1]
        scans += marker == START_OF_SCAN
        if scans > MAX_SCANS:
            return f"a JPEG with more than {MAX_SCANS} scans"
        if marker in FRAMES and content[end + 2 : end + 3] in (b"\x0c", b"\x10"):
            return f"a JPEG with {content[end + 2]} bits per channel: save it with 8"
        if marker == END_OF_IMAGE and scans:
            return ""
        position = end if marker == END_OF_IMAGE else end + max(2, int.from_bytes(content[end : end + 2]))
    return f"a JPEG with more than {MAX_SEGMENTS:,} segments"
