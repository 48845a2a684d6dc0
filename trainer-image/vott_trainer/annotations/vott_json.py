"""VoTT 2's JSON: a project's export, the project itself where it has regions, or the file of one asset.

An asset not visited yet is skipped; a visited one without regions is an image without objects. A frame of a video is an image by its own
name, not by its path, which is the video's.
A region with several tags is one box for each tag, as in VoTT's own CSV export. A polygon also has an outline.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from vott_guard.redaction import redact_url
from vott_trainer.annotations import json_file, outlines
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import Box, Entries, FormatError, ImageLink, LeftOutError, Outline, Row
from vott_trainer.annotations.name_readings import is_image_name
from vott_trainer.annotations.values import box, excerpt, label, number

NOT_VISITED = 0
POLYGON = "POLYGON"  # value of a region's `type`
FRAME = 3  # value of an asset's `type`
OTHER_KINDS = {0: "of a type that VoTT does not know", 2: "a video", 4: "a TFRecord"}


def is_vott(document: Any) -> bool:
    """Whether a JSON document is VoTT's."""
    return isinstance(document, dict) and ("assets" in document or "asset" in document)


def entries(document: Any, urls: ImageUrls) -> Entries:
    """Yield the row or error of each asset and each region.

    Raises:
        FormatError: there are no assets, or none has its regions.
    """
    assets = _assets(document)
    ambiguous = _names_of_several_videos(assets)
    for count, metadata in enumerate(assets, start=1):
        place = f"asset {count}"
        try:
            asset, regions = _asset(metadata)
            place = f"asset {excerpt(asset.get('name') or asset.get('id') or count)}"
            if asset.get("state") == NOT_VISITED and not regions:
                continue
            _check_kind(asset, regions)
            if asset.get("type") == FRAME and asset.get("name") in ambiguous:
                raise FormatError(
                    "is a frame of several videos of one name: rename the videos, annotate and export again"
                )
            image = _link(asset, urls)
            yield place, Row(image, size=json_file.size_of(asset.get("size")), video=_video(asset))
        except FormatError as error:
            yield place, error
        else:
            yield from _regions(image, regions, place)


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


def _link(asset: dict[str, Any], urls: ImageUrls) -> ImageLink:
    if asset.get("type") != FRAME:
        return urls.resolve(json_file.member(asset, "path", str, "the URL or path of the image"))
    name = json_file.member(asset, "name", str, "the name of the frame's image")
    return urls.resolve(name if is_image_name(name) else f"{name}.jpg")  # which VoTT adds when it exports images


def _names_of_several_videos(assets: list[Any]) -> set[Any]:
    """Return the names of frames that belong to several videos: VoTT's export has a single file for them."""
    videos: dict[Any, set[str | None]] = {}
    for metadata in assets:
        with contextlib.suppress(FormatError):
            asset, _ = _asset(metadata)
            if isinstance(name := asset.get("name"), str) and (video := _video(asset)):
                videos.setdefault(name, set()).add(video)
    return {name for name, found in videos.items() if len(found) > 1}


def _check_kind(asset: dict[str, Any], regions: list[Any]) -> None:
    """Refuse what is no image; a video is listed beside its frames, and only its own regions would be lost."""
    kind, names = asset.get("type"), (asset.get("name"), asset.get("path"))
    if not isinstance(kind, int) or kind not in OTHER_KINDS or any(is_image_name(str(name)) for name in names):
        return
    problem = f"is {OTHER_KINDS[kind]}, expected an image or a frame of a video"
    raise FormatError(problem) if regions else LeftOutError(problem)


def _video(asset: dict[str, Any]) -> str | None:
    """Return what identifies the video that an asset is a frame of."""
    parent = asset.get("parent")
    if asset.get("type") != FRAME or not isinstance(parent, dict):
        return None
    values = (parent.get(name) for name in ("path", "id", "name"))
    return next((redact_url(value) for value in values if value and isinstance(value, str)), None)


def _regions(image: ImageLink, regions: list[Any], asset: str) -> Iterator[tuple[str, Row | FormatError]]:
    for count, region in enumerate(regions, start=1):
        place = f"region {count} of {asset}"
        try:
            boxes = _boxes(region)
        except FormatError as error:
            yield place, error
        else:
            yield from ((place, Row(image, box)) for box in boxes)


def _boxes(region: Any) -> list[Box]:
    tags = json_file.member(region, "tags", list, "a list of tags")
    if not tags:
        raise LeftOutError("has no tag: left out, as in VoTT's CSV export")
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
