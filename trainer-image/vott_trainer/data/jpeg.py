"""How much work a JPEG asks for, known before anything decodes it.

Each scan of a progressive JPEG goes over all of its pixels, and needs but a few bytes: a small file could take hours. The markers are read
as libjpeg reads them, which decodes here: what lies in a segment's payload or behind the picture is not looked at.
"""

import mmap
import re
from pathlib import Path

MOST_SCANS = 100  # a picture that is meant to be looked at has about ten
MOST_SEGMENTS = 10_000  # Pillow keeps each of them; a large colour profile or thermal image has some hundred
MOST_FILL = 1 << 12  # bytes before a marker: with each piece of the file libjpeg begins anew with them
START = b"\xff\xd8\xff"
MARKER = re.compile(b"\xff[\xc0-\xcf\xd9-\xfe]")  # all but restarts and what has no payload (ITU-T T.81, B.1.1.3)
FILL = re.compile(b"\xff" * MOST_FILL)
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9


def objection(path: Path) -> str:
    """Return why a file is more work than an image is worth, empty where it is not, or is no JPEG."""
    with path.open("rb") as file:
        if file.read(len(START)) != START:
            return ""
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _objection(content)


def _objection(content: mmap.mmap) -> str:
    """Go through the markers up to the end of the picture: the first one behind a scan, for libjpeg goes on behind that of mere tables."""
    scans, place = 0, len(START) - 1
    for _ in range(MOST_SEGMENTS):
        found = MARKER.search(content, place)
        end = found.end() if found else len(content)
        if FILL.search(content, place, end):
            return f"a JPEG with more than {MOST_FILL:,} fill bytes"
        if not found:
            return ""
        marker = content[end - 1]
        scans += marker == START_OF_SCAN
        if scans > MOST_SCANS:
            return f"a JPEG of more than {MOST_SCANS} scans"
        if marker == END_OF_IMAGE and scans:
            return ""
        place = end if marker == END_OF_IMAGE else end + max(2, int.from_bytes(content[end : end + 2]))
    return f"a JPEG of more than {MOST_SEGMENTS:,} segments"
