"""The orientation in the EXIF data of a photo, and how it turns pixels and coordinates.

Cameras and editors write odd values into other tags, such as a width as text. Pillow's own function writes the data anew, and fails on
them; here it is only read.
"""

from PIL import ExifTags, Image

from vott_trainer.annotations.model import Size

NORMAL = 1
SIDEWAYS = range(5, 9)  # they swap width and height
_LEFT_RIGHT, _TOP_BOTTOM = (2, 3, 6, 7), (3, 4, 7, 8)  # they mirror, after the swap
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none, or none that can be read."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow raises many types on damaged EXIF data
        return NORMAL
    return int(orientation) if orientation in _TURNS else NORMAL


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a decoded image as a browser does; the same image if it is upright."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def turned_size(size: Size, orientation: int) -> Size:
    """Return width and height of an image after `turned`."""
    return size[::-1] if orientation in SIDEWAYS else size


def turned_point(x: float, y: float, size: Size, orientation: int) -> tuple[float, float]:
    """Return where a point of an image of `size` lies after `turned`, in pixels from the upper left corner."""
    width, height = turned_size(size, orientation)
    x, y = (y, x) if orientation in SIDEWAYS else (x, y)
    return width - x if orientation in _LEFT_RIGHT else x, height - y if orientation in _TOP_BOTTOM else y
