"""Random annotation files in all formats, and archives of them, valid and damaged."""

import copy
import csv
import io
import json
from collections.abc import Callable
from random import Random
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from tests.support.packed import archive

STRANGE: list[Any] = [
    None, True, -1, 0, 1e400, 10**30, float("nan"), 2.5, "", "cat", "\ud800", "\x00", "x" * 300, "été\u2028", "file:/a.jpg",
    "http://[::1/a.jpg", "https://h/a.jpg?sig=SECRET", "//h/a.jpg", "%zz", [], {}, [[]], [1, 2, 3, 4], ["a", {}], {"id": {}}, {"x": [7]},
]  # fmt: skip
TOKENS = [
    b",", b"\n", b"\r", b'"', b"\x00", b"\xff\xfe", b"\xef\xbb\xbf",
    b"{", b"]", b"nan", b"1e999", b"-", b"\xf0\x9f\x90\x88", b"://", b"?sig=SECRET",
    b"<", b">", b"</object>", b"&amp;", b"&x;", b'<!DOCTYPE a [<!ENTITY x "y">]>',
]  # fmt: skip

KINDS = ["zip", "zip", "tar", "tar.gz"]  # of archives

Content = tuple[str, bytes]
"""Name of the format, and the file's content."""


def well_formed(rng: Random) -> Content:
    """A valid file in a random format."""
    kind = rng.choice(list(WRITERS))
    return kind, WRITERS[kind](rng)


def damaged(rng: Random) -> Content:
    """A damaged file: truncated, shuffled, with changed bytes or values, or noise."""
    kind, content = well_formed(rng)
    if kind in ("vott-json", "coco", "vott1-json", "label-studio", "custom-vision") and rng.random() < 0.5:
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
    return _table([rng.choice(list(HEADERS)).split(",")], rng) if rng.random() < 0.05 else _of_tool(rng, HEADERS)


def _of_tool(rng: Random, tools: dict[str, str]) -> bytes:
    """A table in the columns of a tool, sometimes with an image without objects."""
    names, fields = rng.choice(list(tools.items()))
    rows = [_values(url, four, label) for url, four, label in _rows(rng)]
    table = [[row[field] if field else "" for field in fields.split(",")] for row in rows]
    if table and rng.random() < 0.3:
        table.append([_link(rng) if field == "u" else "" for field in fields.split(",")])
    return _table(([names.split(",")] if tools is HEADERS else []) + table, rng)


def _values(url: str, four: list[float], label: str) -> dict[str, Any]:
    """What the letters in HEADERS and ORDERS stand for."""
    x, y, w, h = four
    pixels = {"x": x, "y": y, "w": w, "h": h, "r": x + w, "b": y + h, "cx": x + w / 2, "cy": y + h / 2}
    fractions = {name.upper(): value / 999 for name, value in pixels.items()}
    return {"u": url, "l": label, "s": 999, "t": "TRAIN", "0": 0, **pixels, **fractions}


def _table(rows: list[list[Any]], rng: Random) -> bytes:
    """Rows as a spreadsheet or a script writes them."""
    text, separator = io.StringIO(), rng.choice(",,,;\t|")
    end = rng.choice(["\n", "\r\n"])
    writer = csv.writer(
        text,
        delimiter=separator,
        lineterminator=end,
        quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    )
    comma = (
        separator != ","
        and rng.random() < 0.3
        and all(isinstance(value, str) or value % 1 for row in rows for value in row)
    )
    surplus = [""] * rng.choice([0, 0, 0, 2])
    for row in rows:
        writer.writerow(
            [str(value).replace(".", ",") if comma and isinstance(value, float) else value for value in row] + surplus
        )
    content = rng.choice(["", "", f"sep={separator}{end}", f"# a comment{end}"]) + text.getvalue()
    return content.encode(rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"]))


HEADERS = {
    "image,xmin,ymin,xmax,ymax,label": "u,x,y,r,b,l",
    "filename,width,height,class,xmin,ymin,xmax,ymax": "u,s,s,l,x,y,r,b",
    "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height": "l,x,y,w,h,u,s,s",
    ",Image Path,Category,X Center,Y Center,Width,Height,split": "0,u,l,cx,cy,w,h,t",
    "image,x1,y1,x2,y2,label": "u,X,Y,R,B,l",
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf": "u,t,l,0,X,R,Y,B,0",
}
"""Headers of tools, and what their columns hold."""

ORDERS = {
    "TensorFlow": "u,s,s,l,x,y,r,b", "make-sense": "l,x,y,w,h,u,s,s", "AutoML": "t,u,l,X,Y,,,R,B,,", "without set": "u,l,X,Y,R,Y,R,B,X,B",
    "pandas": "0,u,x,y,w,h,l",
}  # fmt: skip
"""Columns of tools that write no header."""


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
    write_id = rng.choice([int, float, str])
    images = [{"id": key, "file_name": url, "width": 99, "height": 99} for key, (url, _, _) in enumerate(rows)]
    categories = [{"id": key, "name": label} for key, (_, _, label) in enumerate(rows)]
    annotations = [
        {
            "id": 1,
            "image_id": write_id(k),
            "category_id": write_id(k),
            "segmentation": _segmentation(rng),
            **_coco_box(rng, four),
        }
        for k, (_, four, _) in enumerate(rows)
    ]
    return json.dumps({"images": images, "categories": categories, "annotations": annotations}).encode()


def _coco_box(rng: Random, four: list[float]) -> dict[str, Any]:
    plain = {"bbox": four, "iscrowd": 0}
    return rng.choice([plain, plain, plain | {"attributes": {"rotation": 30.5}}, {"bbox": [*four, 0.5]}])


def _voc(rng: Random) -> bytes:
    objects = "".join(
        f"<object><name>{escape(label)}</name><difficult>0</difficult><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
        f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox>{_voc_polygon(rng)}</object>\n"
        for _, (x, y, w, h), label in _rows(rng)
    )
    size = "<size><width>99</width><height>99</height><depth>3</depth></size>"
    return f"<annotation>\n<filename>{escape(_link(rng))}</filename>{size}{objects}</annotation>".encode()


def _voc_polygon(rng: Random) -> str:
    points = [(rng.randint(0, 99), rng.uniform(0, 99)) for _ in range(rng.randint(3, 9))]
    numbered = "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate(points, start=1))
    listed = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in points)
    return rng.choice(["", f"<polygon>{numbered}</polygon>", f"<polygon>{listed}</polygon>"])


def _cvat(rng: Random) -> bytes:
    images = "".join(
        f'<image id="{number}" name={quoteattr(url)} width="99" height="99">\n{_cvat_shape(four, label, rng)}\n</image>\n'
        for number, (url, four, label) in enumerate(_rows(rng))
    )
    return f"<annotations>\n<version>1.1</version><meta><task/></meta>\n{images}</annotations>".encode()


def _cvat_shape(four: list[float], label: str, rng: Random) -> str:
    x, y, w, h = four
    named = f"label={quoteattr(label)}"
    points = ";".join(f"{rng.randint(0, 99)},{rng.uniform(0, 99)}" for _ in range(rng.randint(3, 9)))
    return rng.choice(
        [
            "",
            f'<box {named} xtl="{x}" ytl="{y}" xbr="{x + w}" ybr="{y + h}"/>',
            f'<box {named} xtl="{x}" ytl="{y}" xbr="{x + w}" ybr="{y + h}" rotation="{rng.uniform(0, 360)}"/>',
            f'<polygon {named} points="{points}"/>',
            f'<ellipse {named} cx="{x}" cy="{y}" rx="{w}" ry="{h}"/>',
            f'<mask {named} left="1" top="2" width="4" height="2" rle="0, 4, 2, 2"/>',
        ]
    )


def _vott1_json(rng: Random) -> bytes:
    frames = {
        name: [{"x1": x, "y1": y, "x2": x + w, "y2": y + h, "width": 99, "height": 99, "tags": [label]}]
        * rng.randint(0, 2)
        for name, (x, y, w, h), label in _rows(rng)
    }
    return json.dumps({"frames": frames, "inputTags": "cat", "visitedFrames": list(frames)}).encode()


def _some_rows(rng: Random) -> list[tuple[str, list[float], str]]:
    """At least one row: an empty list could be of any format."""
    return _rows(rng) or [("a.jpg", _numbers(rng), _label(rng))]


def _label_studio(rng: Random) -> bytes:
    tasks = [
        {
            "id": k,
            "data": {"image": url},
            "annotations": [{"result": [_label_studio_region(four, label, rng)] * rng.randint(0, 2)}],
        }
        for k, (url, four, label) in enumerate(_some_rows(rng))
    ]
    entries = [
        {"id": k, "image": url, "annotator": 1, "box": [_label_studio_region(four, label, rng)["value"]]}
        for k, (url, four, label) in enumerate(_some_rows(rng))
    ]
    return json.dumps(rng.choice([tasks, entries])).encode()


def _label_studio_region(four: list[float], label: str, rng: Random) -> dict[str, Any]:
    x, y, width, height = (value / 2 for value in four)  # percent
    values: list[dict[str, Any]] = [
        {"x": x, "y": y, "width": width, "height": height},
        {"x": 50, "y": 50, "width": width / 2, "height": height / 2, "rotation": rng.uniform(-360, 360)},
        {"points": [[rng.uniform(0, 100), rng.uniform(0, 100)] for _ in range(rng.randint(3, 9))]},
        {"x": 50, "y": 50, "radiusX": width, "radiusY": height},
        {"format": "rle", "rle": [0, 0, 0, 16, 57, 153, 156, 255, 240]},
    ]
    size: dict[str, Any] = {"original_width": 2, "original_height": 2}
    return size | {"id": "r", "type": "labels", "value": rng.choice(values) | size | {"labels": [label]}}


def _azure_ml(rng: Random) -> bytes:
    lines = []
    for url, (x, y, w, h), label in _rows(rng):
        corners = {"topX": x / 200, "topY": y / 200, "bottomX": (x + w) / 200, "bottomY": (y + h) / 200}
        polygon = {"polygon": [[rng.random() for _ in range(2 * rng.randint(3, 9))]]}
        objects = [{"label": label, "isCrowd": 0, **rng.choice([corners, polygon])}] * rng.randint(0, 2)
        lines.append({"image_url": url, "image_details": {"width": "99px", "height": 99}, "label": objects})
    return b"\n".join(json.dumps(line).encode() for line in lines)


def _custom_vision(rng: Random) -> bytes:
    names = ("left", "top", "width", "height")
    images = [
        {
            "id": str(key), "width": 99, "height": 99, "originalImageUri": url,
            "regions": [{"tagName": label, **{name: value / 200 for name, value in zip(names, four, strict=True)}}] * rng.randint(1, 2),
        }
        for key, (url, four, label) in enumerate(_some_rows(rng))
    ]  # fmt: skip
    return json.dumps(images).encode()


def _yolo(rng: Random) -> bytes:
    """An archive of label files, with images."""
    files: dict[str, bytes] = {"data.yaml": b"names: [cat, dog]\n"} if rng.random() < 0.7 else {}
    for number in range(rng.randint(0, 5)):
        folder = rng.choice(["", "train/", "train/labels/"])
        lines = [_yolo_line(rng) for _ in range(rng.randint(0, 4))]
        files[f"{folder}{number}.txt"] = "\n".join(lines).encode()
        files[f"{folder.replace('labels', 'images')}{number}.png"] = b"\x89PNG"
    return archive(files, rng.choice(KINDS))


def _yolo_line(rng: Random) -> str:
    if rng.random() < 0.5:  # a box, perhaps with a score
        center, size = [[rng.uniform(*limits) for _ in "xy"] for limits in ((0.3, 0.7), (0.01, 0.6))]
        values = [*center, *size, *([rng.random()] if rng.random() < 0.3 else [])]
    else:
        values = [rng.random() for _ in range(rng.choice([6, 8, 12]))]
    return " ".join([str(rng.randint(0, 1)), *(f"{value:.6f}" for value in values)])


def _archived(rng: Random) -> bytes:
    """An archive of a file in another format, with some of its images."""
    kind = rng.choice(["vott-web", "vott-csv", "vott-json", "coco", "voc", "cvat", "vott1-json"])
    ending = {"vott-web": "csv", "vott-csv": "csv", "voc": "xml", "cvat": "xml"}.get(kind, "json")
    names = ["a.jpg", "b c.png", "a b.jpg", "été.jpg", *(f"{number}.jpg" for number in range(1, 10))]
    images = dict.fromkeys([*names, *(f"images/{name}" for name in names)], b"\x89PNG")
    return archive({f"file.{ending}": WRITERS[kind](rng), **images}, rng.choice(KINDS))


WRITERS: dict[str, Callable[[Random], bytes]] = {
    "vott-web": _vott_web, "corners": _corners, "vott-csv": _vott_csv, "classes": _classes, "vott-json": _vott_json, "coco": _coco,
    "voc": _voc, "cvat": _cvat, "vott1-json": _vott1_json, "auto": lambda rng: rng.choice([_archived(rng), _of_tool(rng, ORDERS)]),
    "label-studio": _label_studio, "azure-ml": _azure_ml, "custom-vision": _custom_vision,
    "yolo": _yolo,
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
