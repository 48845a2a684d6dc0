"""VoTT 2's JSON: a project's export, the project itself where it has regions, or the file of one asset.

An asset not visited yet is skipped; a visited one without regions is an image without objects.
A region with several tags is one box for each tag, as in VoTT's own CSV export. A polygon also has an outline.
"""

from collections.abc import Iterator
from typing import Any

from vott_trainer.annotations import json_file, outlines
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Box, Entries, FormatError, Outline, Row
from vott_trainer.annotations.values import box, excerpt, label, number

NOT_VISITED = 0
POLYGON = "POLYGON"  # value of a region's `type`
VIDEOS = {2: "a video", 3: "a frame of a video"}  # values of `type`


def is_vott(document: Any) -> bool:
    """Whether a JSON document is VoTT's."""
    return isinstance(document, dict) and ("assets" in document or "asset" in document)


def entries(document: Any, urls: ImageUrls) -> Entries:
    """Yield the row or error of each asset and each region.

    Raises:
        FormatError: there are no assets, or none has its regions.
    """
    for count, metadata in enumerate(_assets(document), start=1):
        place = f"asset {count}"
        try:
            asset, regions = _asset(metadata)
            place = f"asset {excerpt(asset.get('name') or asset.get('id') or count)}"
            if asset.get("state") == NOT_VISITED and not regions:
                continue
            url = _url(asset, urls)
            yield place, Row(url, size=json_file.size_of(asset.get("size")))
        except FormatError as error:
            yield place, error
        else:
            yield from _regions(url, regions, place)


def _assets(document: Any) -> list[Any]:
    if not is_vott(document):
        raise FormatError("expected a VoTT export with assets, found other JSON")
    assets = document.get("assets", [document])
    listed = list(assets.values()) if isinstance(assets, dict) else assets
    if not isinstance(listed, list):
        raise FormatError(f"expected assets to be an object, found {excerpt(assets)}")
    if listed and not any(isinstance(metadata, dict) and "regions" in metadata for metadata in listed):
        raise FormatError(
            "is a VoTT project without its regions: export it as VoTT JSON, and use the …-export.json file"
        )
    return listed


def _asset(metadata: Any) -> tuple[dict[str, Any], list[Any]]:
    regions = json_file.member(metadata, "regions", list, "a list of regions")
    asset = json_file.member(metadata, "asset", dict, "an object") if "asset" in metadata else metadata
    return asset, regions


def _url(asset: dict[str, Any], urls: ImageUrls) -> str:
    if (kind := asset.get("type")) in VIDEOS.keys():  # noqa: SIM118
        raise FormatError(f"is {VIDEOS[kind]}, expected an image: export the frames as images")
    return urls.resolve(json_file.member(asset, "path", str, "the URL or path of the image"))


def _regions(url: str, regions: list[Any], asset: str) -> Iterator[tuple[str, Row | FormatError]]:
    for count, region in enumerate(regions, start=1):
        place = f"region {count} of {asset}"
        try:
            boxes = _boxes(region)
        except FormatError as error:
            yield place, error
        else:
            yield from ((place, Row(url, box)) for box in boxes)


def _boxes(region: Any) -> list[Box]:
    tags = json_file.member(region, "tags", list, "a list of tags")
    if not tags:
        raise FormatError("expected at least one tag, found none")
    outline = _outline(region)
    x, y, width, height = _rectangle(region, outline)
    return [box(x, y, width, height, tag, outline) for tag in dict.fromkeys(map(label, tags))]


def _rectangle(region: dict[str, Any], outline: Outline | None) -> tuple[float, float, float, float]:
    bounds = region.get("boundingBox")
    if isinstance(bounds, dict):
        left, top, width, height = (number(name, bounds.get(name)) for name in ("left", "top", "width", "height"))
        return left, top, width, height
    points = json_file.member(region, "points", list, "the corners of a polygon, where there is no boundingBox")
    if len(points) < 2:
        raise FormatError(f"expected at least 2 points, found {len(points)}")
    corners = outline or outlines.of_rings([_coordinates(points)])
    if not corners:
        raise FormatError("expected points to be numbers x and y in pixels, where there is no boundingBox")
    return outlines.bounding_box(corners)


def _outline(region: dict[str, Any]) -> Outline | None:
    points = region.get("points")
    if region.get("type", POLYGON) != POLYGON or not isinstance(points, list):
        return None
    return outlines.of_rings([_coordinates(points)])


def _coordinates(points: list[Any]) -> list[Any]:
    return [point.get(axis) if isinstance(point, dict) else None for point in points for axis in ("x", "y")]
