"""Names of columns, as annotation tools and people write them; and files that their names tell to be of another kind."""

import re
from collections.abc import Iterable, Sequence

WITH_HEADER = "vott-csv"
COLUMNS = {
    "vott-web": ("url", "x", "y", "width", "height", "class"),
    "corners": ("url", "x1", "y1", "x2", "y2", "class"),
    "classes": ("url", "class"),
    WITH_HEADER: ("image", "xmin", "ymin", "xmax", "ymax", "label"),
}  # by format

URL_NAMES = (
    "url", "image", "filename", "file", "path", "img", "uri", "imageurl", "imageuri", "imagename", "imagepath", "imagefile", "imagefilename",
    "imgurl", "imgname", "imgpath", "imgfile", "filepath", "fname",
)  # fmt: skip
URL_IDS = ("imageid", "imgid", "frame")  # used if there is no other
CLASS_NAMES = (
    "class", "label", "category", "tag", "choice", "classname", "labelname", "categoryname", "tagname", "classlabel", "objectclass", "objectname",
    "annotationtag",
)  # fmt: skip
CLASS_IDS = ("classid", "labelid", "categoryid")  # used if there is no other

CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("x0", "y0", "x1", "y1"), ("left", "top", "right", "bottom"),
    ("minx", "miny", "maxx", "maxy"), ("xtl", "ytl", "xbr", "ybr"), ("startx", "starty", "endx", "endy"), ("xstart", "ystart", "xend", "yend"),
    ("topleftx", "toplefty", "bottomrightx", "bottomrighty"), ("upperleftcornerx", "upperleftcornery", "lowerrightcornerx", "lowerrightcornery"),
)  # fmt: skip
_SIDES = (("w", "h"), ("width", "height"))
_STARTS = (("x", "y"), ("left", "top"), ("xmin", "ymin"), ("x1", "y1"), ("minx", "miny"), ("xtl", "ytl"))
_CENTERS = (
    ("xcenter", "ycenter"),
    ("centerx", "centery"),
    ("xcentre", "ycentre"),
    ("centrex", "centrey"),
    ("cx", "cy"),
)
SIZES = tuple((*start, *sides) for start in _STARTS for sides in _SIDES)
CENTERS = tuple((*center, *sides) for center in _CENTERS for sides in _SIDES)
_PREFIXES = ("bbox", "boundingbox", "box", "rect", "roi", "")
IMAGE_SIZES = (("imagewidth", "imageheight"), ("imgwidth", "imgheight"), ("width", "height"), ("w", "h"))
_OTHER_SHAPES = frozenset({
    "bbox", "bboxes", "boundingbox", "boundingboxes", "box", "boxes", "polygon", "polygons", "points", "segmentation", "mask", "rle",
    "encodedpixels", "coordinates", "geometry", "regions", "annotations", "regionshapeattributes",
})  # fmt: skip
_BOX_NAMES = frozenset(prefix + name for prefix in _PREFIXES for four in (*CORNERS, *SIZES, *CENTERS) for name in four)
_LIKE_SIDES = re.compile(
    r".*(?:[xy](?:min|max|center|centre)|bbox|boundingbox)|[xy](?:\d|left|right|top|bottom|pct|percent|px|rel|norm)"
)
_ANY_NAMES = frozenset((*URL_NAMES, *URL_IDS, *CLASS_NAMES, *CLASS_IDS)) | _BOX_NAMES

# What a file is whose header has all of these names.
OTHER_TOOLS = {
    ("fileattributes", "regionshapeattributes"): "VGG Image Annotator's CSV, whose boxes are JSON: export COCO instead",
    ("x1", "y1", "x3", "y3"): "a table of rotated boxes with four corners each: export COCO instead",
}
AUTO_ML_NAMES = ("set", "path", "label", "xmin", "ymin", "xmax", "ymin", "xmax", "ymax", "xmin", "ymax")
AUTO_ML = ("set", "path", "label", "xmin", "ymin", "-", "-", "xmax", "ymax", "-", "-")
"""The same with the corners that are read: the second and the fourth may be empty."""
OPEN_IMAGES = ("imageid", "source", "labelname", "confidence")


def normalized(fields: Iterable[str]) -> list[str]:
    """Return column names in lower case, without units such as (px), and without anything but letters and digits."""
    return [re.sub(r"[\W_]*(?:\(.*\)|\[.*\])|[\W_]+", "", field.lower()) for field in fields]


def is_header(fields: Iterable[str]) -> bool:
    """Whether these are column names with an image and a class."""
    names = set(normalized(fields))
    return not names.isdisjoint((*URL_NAMES, *URL_IDS)) and not names.isdisjoint((*CLASS_NAMES, *CLASS_IDS))


def is_known(fields: Iterable[str]) -> bool:
    """Whether one of these is a known column name."""
    return not _ANY_NAMES.isdisjoint(normalized(fields))


def find_four(names: Sequence[str], known: Iterable[tuple[str, str, str, str]]) -> tuple[int, int, int, int] | None:
    """Return the positions of the first four of `known` names that are all there, with or without a prefix such as `bbox`."""
    for prefix in _PREFIXES:
        for a, b, c, d in known:
            if {prefix + a, prefix + b, prefix + c, prefix + d} <= set(names):
                return (
                    names.index(prefix + a),
                    names.index(prefix + b),
                    names.index(prefix + c),
                    names.index(prefix + d),
                )
    return None


def parts_of_boxes(names: Iterable[str]) -> list[str]:
    """Return the names that belong to a box or another shape; width and height alone are those of the image."""
    return [
        name
        for name in names
        if name in _OTHER_SHAPES
        or (name in _BOX_NAMES and name not in {"width", "height", "w", "h"})
        or _LIKE_SIDES.match(name)
    ]


def other_tool(names: Sequence[str]) -> str | None:
    """Return what the file is and what to do, if its header tells that this reader can't read it."""
    if set(OPEN_IMAGES) <= set(names) and not find_four(names, CORNERS):
        return "Open Images' labels of whole images, several for each: choose one class for each image"
    return next((what for known, what in OTHER_TOOLS.items() if set(known) <= set(names)), None)
