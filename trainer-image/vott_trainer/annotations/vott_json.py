"""VoTT 2's JSON: the export of a project, the project itself where it holds the regions, or the file of one asset.

An asset that nobody has looked at says nothing; one that was looked at and has no region is an image with nothing to see.
A region with several tags is one box for each of them, as in VoTT's own CSV export.
"""

from collections.abc import Iterator
from typing import Any

from vott_trainer.annotations import json_file
from vott_trainer.annotations.links import Links
from vott_trainer.annotations.model import Box, Entries, Fault, Row
from vott_trainer.annotations.values import box, excerpt, label, number

NOT_VISITED = 0
VIDEOS = {2: "a video", 3: "a frame of a video"}  # values of `type`


def is_one(document: Any) -> bool:
    """Return whether a JSON document is VoTT's."""
    return isinstance(document, dict) and ("assets" in document or "asset" in document)


def entries(document: Any, links: Links) -> Entries:
    """Yield what each asset and each region says.

    Raises:
        Fault: there are no assets, or they come without their regions.
    """
    for number_, metadata in enumerate(_assets(document), start=1):
        place = f"asset {number_}"
        try:
            asset, regions = _asset(metadata)
            place = f"asset {excerpt(asset.get('name') or asset.get('id') or number_)}"
            if asset.get("state") == NOT_VISITED and not regions:
                continue
            url = _url(asset, links)
            yield place, Row(url, size=json_file.size_of(asset.get("size")))
        except Fault as fault:
            yield place, fault
        else:
            yield from _regions(url, regions, place)


def _assets(document: Any) -> list[Any]:
    if not is_one(document):
        raise Fault("expected a VoTT export with assets, found other JSON")
    assets = document.get("assets", [document])
    found = list(assets.values()) if isinstance(assets, dict) else assets
    if not isinstance(found, list):
        raise Fault(f"expected assets to be an object, found {excerpt(assets)}")
    if found and not any(isinstance(metadata, dict) and "regions" in metadata for metadata in found):
        raise Fault("is a VoTT project without its regions: export it as VoTT JSON, and use the …-export.json file")
    return found


def _asset(metadata: Any) -> tuple[dict[str, Any], list[Any]]:
    regions = json_file.part(metadata, "regions", list, "a list of regions")
    asset = json_file.part(metadata, "asset", dict, "an object") if "asset" in metadata else metadata
    return asset, regions


def _url(asset: dict[str, Any], links: Links) -> str:
    if (kind := asset.get("type")) in VIDEOS.keys():  # noqa: SIM118
        raise Fault(f"is {VIDEOS[kind]}, expected an image: export the frames as images")
    return links.resolve(json_file.part(asset, "path", str, "the URL or path of the image"))


def _regions(url: str, regions: list[Any], asset: str) -> Iterator[tuple[str, Row | Fault]]:
    for number_, region in enumerate(regions, start=1):
        place = f"region {number_} of {asset}"
        try:
            boxes = _boxes(region)
        except Fault as fault:
            yield place, fault
        else:
            yield from ((place, Row(url, box)) for box in boxes)


def _boxes(region: Any) -> list[Box]:
    tags = json_file.part(region, "tags", list, "a list of tags")
    if not tags:
        raise Fault("expected at least one tag, found none")
    x, y, width, height = _rectangle(region)
    return [box(x, y, width, height, tag) for tag in dict.fromkeys(map(label, tags))]


def _rectangle(region: dict[str, Any]) -> tuple[float, float, float, float]:
    bounds = region.get("boundingBox")
    if isinstance(bounds, dict):
        left, top, width, height = (number(name, bounds.get(name)) for name in ("left", "top", "width", "height"))
        return left, top, width, height
    points = json_file.part(region, "points", list, "the corners of a polygon, where there is no boundingBox")
    if len(points) < 2:
        raise Fault(f"expected at least 2 points, found {len(points)}")
    return json_file.box_around([(_coordinate(point, "x"), _coordinate(point, "y")) for point in points])


def _coordinate(point: Any, axis: str) -> float:
    return number(axis, point.get(axis) if isinstance(point, dict) else point)
