"""Random annotation files in all formats, valid and damaged."""

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

STRANGE: list[Any] = [
    None, True, -1, 0, 1e400, 10**30, float("nan"), 2.5, "", "cat", "\ud800", "\x00", "x" * 300, "été\u2028", "file:/a.jpg",
    "http://[::1/a.jpg", "https://h/a.jpg?sig=SECRET", "//h/a.jpg", "%zz", [], {}, [[]], [1, 2, 3, 4], ["a", {}], {"id": {}}, {"x": [7]},
]  # fmt: skip
TOKENS = [
    b",", b"\n", b"\r", b'"', b"\x00", b"\xff\xfe", b"\xef\xbb\xbf",
    b"{", b"]", b"nan", b"1e999", b"-", b"\xf0\x9f\x90\x88", b"://", b"?sig=SECRET",
]  # fmt: skip

Content = tuple[str, bytes]
"""Name of the format, and the file's content."""


def well_formed(rng: Random) -> Content:
    """A valid file in a random format."""
    kind = rng.choice(list(WRITERS))
    return kind, WRITERS[kind](rng)


def damaged(rng: Random) -> Content:
    """A damaged file: truncated, shuffled, with changed bytes or values, or noise."""
    kind, content = well_formed(rng)
    if kind in ("vott-json", "coco") and rng.random() < 0.5:
        document = json.loads(content)
        for _ in range(rng.randint(1, 4)):
            document = _with_strange_part(document, rng)
        return kind, json.dumps(document).encode()
    return kind, rng.choice(DAMAGES)(content, rng)


def _link(rng: Random) -> str:
    name = rng.choice(["a.jpg", "b c.png", "a%20b.jpg", "été.jpg", f"{rng.randint(1, 9)}.jpg"])
    return rng.choice([f"https://store/{name}?sv=1&sig=SECRET", f"images/{name}", name])


def _label(rng: Random) -> str:
    return rng.choice(["cat", "dog", "traffic light", "été", "a, b", "7"])


def _numbers(rng: Random) -> list[float]:
    return [rng.randint(0, 99), rng.randint(0, 99), rng.randint(1, 99), rng.uniform(1, 99)]


def _rows(rng: Random) -> list[tuple[str, list[float], str]]:
    return [(_link(rng), _numbers(rng), _label(rng)) for _ in range(rng.randint(0, 12))]


def _vott_web(rng: Random) -> bytes:
    lines = [f"{url},{','.join(map(str, four))},{label}" for url, four, label in _rows(rng)]
    return rng.choice(["\n", "\r\n", "\n\n"]).join(lines).encode()


def _corners(rng: Random) -> bytes:
    return "\n".join(f"{u},{x},{y},{x + w},{y + h},{label}" for u, (x, y, w, h), label in _rows(rng)).encode()


def _vott_csv(rng: Random) -> bytes:
    return b'"image","xmin","ymin","xmax","ymax","label"\n' + _corners(rng)


def _classes(rng: Random) -> bytes:
    return "\n".join(f"https://store/{number}.jpg,{_label(rng)}" for number in range(rng.randint(0, 12))).encode()


def _vott_json(rng: Random) -> bytes:
    names = ("left", "top", "width", "height")
    assets = {
        str(key): {
            "asset": {"id": str(key), "name": "a.jpg", "path": url, "state": rng.randint(0, 2), "size": {"width": 9, "height": 9}},
            "regions": [{"tags": [label], "boundingBox": dict(zip(names, four, strict=True)), **_polygon(rng)}] * rng.randint(0, 2),
        }
        for key, (url, four, label) in enumerate(_rows(rng))
    }  # fmt: skip
    return json.dumps({"name": "x", "assets": assets}, indent=rng.choice([None, 4])).encode()


def _polygon(rng: Random) -> dict[str, Any]:
    """The rest of a region of VoTT."""
    points = [{"x": rng.uniform(0, 99), "y": rng.randint(0, 99)} for _ in range(rng.randint(3, 9))]
    return {"type": "POLYGON", "points": points} if rng.random() < 0.5 else {"type": "RECTANGLE"}


def _segmentation(rng: Random) -> Any:
    polygon = [rng.uniform(0, 99) for _ in range(2 * rng.randint(3, 9))]
    runs = {"size": [9, 9], "counts": [rng.randint(0, 70), rng.randint(1, 10), 1]}
    runs["counts"][2] = 81 - sum(runs["counts"][:2])
    return rng.choice([[], [polygon], [polygon, polygon[:6]], runs, {"size": [9, 9], "counts": "m036000i0"}])


def _coco(rng: Random) -> bytes:
    rows = _rows(rng)
    images = [{"id": key, "file_name": url, "width": 99, "height": 99} for key, (url, _, _) in enumerate(rows)]
    categories = [{"id": key, "name": label} for key, (_, _, label) in enumerate(rows)]
    annotations = [
        {"id": k, "image_id": k, "category_id": k, "bbox": four, "segmentation": _segmentation(rng)}
        for k, (_, four, _) in enumerate(rows)
    ]
    return json.dumps({"images": images, "categories": categories, "annotations": annotations}).encode()


WRITERS: dict[str, Callable[[Random], bytes]] = {
    "vott-web": _vott_web, "corners": _corners, "vott-csv": _vott_csv, "classes": _classes, "vott-json": _vott_json, "coco": _coco,
}  # fmt: skip


def _cut(content: bytes, rng: Random) -> bytes:
    start, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + content[end:]


def _with_tokens(content: bytes, rng: Random) -> bytes:
    for _ in range(rng.randint(1, 5)):
        offset = rng.randrange(len(content) + 1)
        content = content[:offset] + rng.choice(TOKENS) + content[offset:]
    return content


def _with_other_bytes(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 1 + len(changed) // 10)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _shuffled(content: bytes, rng: Random) -> bytes:
    parts = content.split(b",")
    rng.shuffle(parts)
    return b",".join(parts)


def _noise(_content: bytes, rng: Random) -> bytes:
    return rng.randbytes(rng.randint(0, 500))


DAMAGES = [_cut, _with_tokens, _with_other_bytes, _shuffled, _noise]


def _with_strange_part(node: Any, rng: Random) -> Any:
    """Replace or delete one value somewhere in a JSON document."""
    if not isinstance(node, dict | list) or not node or rng.random() < 0.15:
        return copy.deepcopy(rng.choice(STRANGE))
    key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
    if rng.random() < 0.1:
        del node[key]
    else:
        node[key] = _with_strange_part(node[key], rng)
    return node
