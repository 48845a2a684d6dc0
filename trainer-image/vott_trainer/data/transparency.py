"""Transparent pixels, shown over white."""

from PIL import Image

STEPS = {"L;2": 85, "L;4": 17}  # of the rawmodes of Pillow: from a grey of 2 or 4 bits to one of 8


def scale_transparent_grey(image: Image.Image) -> None:
    """Scale the one grey of a PNG that is transparent as Pillow scales the pixels; before they are decoded."""
    grey, tiles = image.info.get("transparency"), getattr(image, "tile", None)
    if image.format == "PNG" and isinstance(grey, int) and tiles and tiles[0].args in STEPS:
        image.info["transparency"] = grey * STEPS[tiles[0].args]


def over_white(image: Image.Image) -> Image.Image:
    """Return an RGB image of 8 bits with white in place of transparency."""
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    if image.mode == "La":  # Pillow converts it to LA only
        image = image.convert("LA")
    image = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white
