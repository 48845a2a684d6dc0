"""Files as each tool writes them: 1.jpg of 640 x 480 with a cat (48, 240, 195, 200) and, where the tool lists it, 2.jpg without objects.

COCO has `test_coco_of_tools`, YOLO and archives have tests of their own.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vott_trainer.annotations import Format, read

CAT = (48, 240, 195, 200)
LEFT, TOP, RIGHT, BOTTOM = 0.075, 0.5, 0.3796875, 440 / 480  # as fractions


def vott_csv() -> str:
    return '"image","xmin","ymin","xmax","ymax","label"\n"1.jpg",48,240,243.00000000000003,440,"cat"\n'


def vott_web() -> str:
    return "https://store/1.jpg,48,240,195,200,cat\nhttps://store/2.jpg,,,,,\n"


def vott_asset(name: str = "1.jpg", regions: Any = None) -> dict[str, Any]:
    region = {
        "id": "Wgl1", "type": "RECTANGLE", "tags": ["cat"], "boundingBox": {"height": 200, "width": 195, "left": 48, "top": 240},
        "points": [{"x": 48, "y": 240}, {"x": 243, "y": 240}, {"x": 243, "y": 440}, {"x": 48, "y": 440}],
    }  # fmt: skip
    asset = {
        "format": "jpg", "id": f"id of {name}", "name": name, "path": f"file:C:/Users/me/pets/{name}", "size": {"width": 640, "height": 480},
        "state": 2 if regions is None else 1, "type": 1,
    }  # fmt: skip
    return {"asset": asset, "regions": [region] if regions is None else regions, "version": "2.2.0"}


def vott_json() -> dict[str, Any]:
    assets = [vott_asset(), vott_asset("2.jpg", [])]
    return {
        "name": "pets", "securityToken": "pets Token", "videoSettings": {"frameExtractionRate": 15}, "id": "x", "version": "2.2.0",
        "tags": [{"name": "cat", "color": "#5db300"}], "activeLearningSettings": {"autoDetect": False, "predictTag": True},
        "assets": {asset["asset"]["id"]: asset for asset in assets}, "lastVisitedAssetId": "id of 2.jpg",
    }  # fmt: skip


def vott_1() -> dict[str, Any]:
    corners = {"x1": 48, "y1": 240, "x2": 243, "y2": 440}
    region = corners | {
        "width": 640, "height": 480, "box": corners, "UID": "00a1", "id": 0, "type": "Rectangle", "tags": ["cat"], "name": 1,
    }  # fmt: skip
    return {
        "frames": {"1.jpg": [region], "2.jpg": []}, "framerate": "1", "inputTags": "cat,dog", "suggestiontype": "track", "scd": False,
        "visitedFrames": ["1.jpg", "2.jpg"], "tag_colors": ["#e9f1fe"],
    }  # fmt: skip


def make_sense_without_header() -> str:
    return "cat,48,240,195,200,1.jpg,640,480\n"


def make_sense() -> str:
    return "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height\ncat,48,240,195,200,1.jpg,640,480\n"


def roboflow_csv() -> str:
    return "filename,width,height,class,xmin,ymin,xmax,ymax\n1.jpg,640,480,cat,48,240,243,440\n"


def retinanet_csv() -> str:
    return "1.jpg,48,240,243,440,cat\n2.jpg,,,,,\n"


def auto_ml() -> str:
    return f"TRAIN,gs://pets/1.jpg,cat,{LEFT},{TOP},,,{RIGHT},{BOTTOM},,\nUNASSIGNED,gs://pets/2.jpg,,,,,,,,,\n"


def auto_ml_with_four_vertices() -> str:
    vertices = f"{LEFT},{TOP},{RIGHT},{TOP},{RIGHT},{BOTTOM},{LEFT},{BOTTOM}"
    return f"UNASSIGNED,gs://pets/1.jpg,cat,{vertices}\nVALIDATION,gs://pets/2.jpg,,,,,,,,,\n"


def auto_ml_without_set() -> str:
    return f"gs://pets/1.jpg,cat,{LEFT},{TOP},,,{RIGHT},{BOTTOM},,\n"


def auto_ml_with_header() -> str:
    header = "set,path,label,x_min,y_min,x_max,y_min,x_max,y_max,x_min,y_max"
    return f"{header}\nTRAINING,gs://pets/1.jpg,cat,{LEFT},{TOP},,,{RIGHT},{BOTTOM},,\n"


def open_images() -> str:
    header = (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
    )
    return f"{header}\n1,xclick,cat,1,{LEFT},{RIGHT},{TOP},{BOTTOM},0,0,0,0,0\n"


def kaggle() -> str:
    return "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n1.jpg,cat,3,R10,48.0,240.0,243.0,440.0\n"


def traffic_signs() -> str:
    """The German benchmark (GTSRB)."""
    return "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\r\n1.jpg;640;480;48;240;243;440;cat\r\n"


def lisa() -> str:
    corners = "Upper left corner X;Upper left corner Y;Lower right corner X;Lower right corner Y"
    header = f"Filename;Annotation tag;{corners};Origin file;Origin frame number"
    return f"{header}\n1.jpg;cat;48;240;243;440;vid0.mov;2667\n"


def udacity() -> str:
    return "xmin,ymin,xmax,ymax,Frame,Label,Preview URL\n48,240,243,440,1.jpg,cat,http://preview.example/?image=1.jpg\n"


def pandas() -> str:
    return ",image,label,x_center,y_center,width,height\n0,1.jpg,cat,145.5,340.0,195.0,200.0\n1,2.jpg,,,,,\n"


def excel_in_german() -> bytes:
    return "\ufeffimage;xmin;ymin;xmax;ymax;label;\r\n1.jpg;48,0;240;243,00;4,4E+02;cat;\r\n2.jpg;;;;;;\r\n".encode()


def excel_in_french() -> bytes:
    """With blanks between thousands, which the other numbers of the file have."""
    return (
        "\ufeffimage;xmin;ymin;xmax;ymax;label;comment\r\n1.jpg;48,0;240;243;440;cat;1\u202f024,5\r\n2.jpg\r\n".encode()
    )


def excel_as_unicode_text() -> bytes:
    return "\ufeffimage\txmin\tymin\txmax\tymax\tlabel\r\n1.jpg\t48\t240\t243\t440\tcat\r\n".encode("utf-16-le")


def label_studio_task(task: int, *results: Any) -> dict[str, Any]:
    annotation = {
        "id": 100 + task, "completed_by": 1, "result": list(results), "was_cancelled": False, "ground_truth": False,
        "created_at": "2024-01-01T10:00:00Z", "updated_at": "2024-01-01T10:00:00Z", "lead_time": 8.5, "prediction": {}, "result_count": 0,
        "task": task, "project": 3, "parent_prediction": None, "parent_annotation": None,
    }  # fmt: skip
    return {
        "id": task, "annotations": [annotation], "file_upload": f"0f1e2d3c-{task}.jpg", "drafts": [], "predictions": [],
        "data": {"image": f"/data/upload/3/0f1e2d3c-{task}.jpg"}, "meta": {}, "inner_id": task, "total_annotations": 1,
        "cancelled_annotations": 0, "total_predictions": 0, "comment_count": 0, "project": 3, "updated_by": 1,
    }  # fmt: skip


PERCENT = {
    "x": 7.5,
    "y": 50.0,
    "width": 30.46875,
    "height": 41.66666666666667,
    "rotation": 0,
    "rectanglelabels": ["cat"],
}


def label_studio() -> list[Any]:
    region = {
        "original_width": 640, "original_height": 480, "image_rotation": 0, "value": PERCENT, "id": "Dx_aB", "from_name": "label",
        "to_name": "image", "type": "rectanglelabels", "origin": "manual",
    }  # fmt: skip
    return [label_studio_task(1, region), label_studio_task(2)]


def label_studio_min() -> list[Any]:
    of_annotation = {
        "annotator": 1, "created_at": "2024-01-01T10:00:00Z", "updated_at": "2024-01-01T10:00:00Z", "lead_time": 8.5,
    }  # fmt: skip
    label = PERCENT | {"original_width": 640, "original_height": 480}
    return [
        {"image": "/data/upload/3/0f1e2d3c-1.jpg", "id": 1, "label": [label], "annotation_id": 101} | of_annotation,
        {"image": "/data/upload/3/0f1e2d3c-2.jpg", "id": 2, "annotation_id": 102} | of_annotation,
    ]


def azure_ml() -> str:
    box = {"label": "cat", "topX": LEFT, "topY": TOP, "bottomX": RIGHT, "bottomY": BOTTOM, "isCrowd": False}
    details = {"format": "jpg", "width": "640px", "height": "480px"}
    root = "azureml://subscriptions/0/resourcegroups/r/workspaces/w/datastores/pets/paths"
    records = [
        {"image_url": f"{root}/1.jpg", "image_details": details, "label": [box], "label_confidence": [1.0]},
        {"image_url": f"{root}/2.jpg", "image_details": details, "label": [], "label_confidence": []},
    ]
    return "".join(json.dumps(record) + "\n" for record in records)


def custom_vision() -> list[Any]:
    tag = {"tagId": "b607", "tagName": "cat", "created": "2024-01-01T10:00:00Z"}
    region = tag | {"regionId": "1a2b", "left": LEFT, "top": TOP, "width": RIGHT - LEFT, "height": BOTTOM - TOP}
    return [
        {
            "id": "5f3c", "created": "2024-01-01T10:00:00Z", "width": 640, "height": 480, "tags": [tag], "regions": [region],
            "resizedImageUri": "https://irisprod.example/i-5f3c?sv=1&sig=x", "thumbnailUri": "https://irisprod.example/t-5f3c?sv=1&sig=x",
            "originalImageUri": "https://store/1.jpg", "fileName": "1.jpg",
        }
    ]  # fmt: skip


BNDBOX = "<bndbox><xmin>48</xmin><ymin>240</ymin><xmax>243</xmax><ymax>440</ymax></bndbox>"
FLAGS = "<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
VOC_SIZE = "<size><width>640</width><height>480</height><depth>3</depth></size>"


def label_img(name: str = "1.jpg") -> str:
    return (
        f"<annotation>\n\t<folder>pets</folder>\n\t<filename>{name}</filename>\n\t<path>C:\\Users\\me\\pets\\1.jpg</path>\n"
        f"\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n\t{VOC_SIZE}\n\t<segmented>0</segmented>\n"
        f"\t<object>\n\t\t<name>cat</name>{FLAGS}\n\t\t{BNDBOX}\n\t</object>\n</annotation>\n"
    )


def label_img_of_2016() -> str:
    return label_img("1")


def roboflow_voc() -> str:
    order = "<xmin>48</xmin><xmax>243</xmax><ymin>240</ymin><ymax>440</ymax>"
    polygon = "<polygon><x1>48</x1><y1>240</y1><x2>243</x2><y2>240</y2><x3>243</x3><y3>440</y3></polygon>"
    return (
        f"<annotation><folder></folder><filename>1.jpg</filename><path>1.jpg</path><source><database>roboflow.com</database></source>"
        f"{VOC_SIZE}<segmented>0</segmented><object><name>cat</name>{FLAGS}<occluded>0</occluded><bndbox>{order}</bndbox>{polygon}"
        "</object></annotation>"
    )


def cvat_voc() -> str:
    return (
        f"<annotation><folder/><filename>1.jpg</filename><source><database>Unknown</database><annotation>Unknown</annotation></source>"
        f"{VOC_SIZE}<segmented>0</segmented><object><name>cat</name><occluded>0</occluded>{BNDBOX.replace('48', '48.0')}<attributes><attribute>"
        "<name>rotation</name><value>0.0</value></attribute></attributes></object></annotation>"
    )


def label_me_xml() -> str:
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((48, 240), (243, 240), (243, 440), (48, 440)))
    return (
        "<annotation><filename>1.jpg</filename><folder>pets</folder><source><sourceImage/></source><object><name>cat</name><deleted>0</deleted>"
        f"<id>0</id><polygon><username>me</username>{points}</polygon></object>"
        "<imagesize><nrows>480</nrows><ncols>640</ncols></imagesize></annotation>"
    )


def ro_label_img() -> str:
    rotated = "<robndbox><cx>145.5</cx><cy>340.0</cy><w>200.0</w><h>195.0</h><angle>1.570796</angle></robndbox>"
    names = "<filename>1</filename><path>/home/me/1.jpg</path>"
    kind = "<type>robndbox</type><name>cat</name>"
    return f"<annotation verified='no'>{names}{VOC_SIZE}<object>{kind}{FLAGS}{rotated}</object></annotation>"


def cvat() -> str:
    box = '<box label="cat" source="manual" occluded="0" xtl="48.00" ytl="240.00" xbr="243.00" ybr="440.00" z_order="0">\n    </box>'
    meta = "<meta><task><id>7</id><mode>annotation</mode><labels><label><name>cat</name><type>any</type></label></labels></task></meta>"
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  {meta}\n'
        f'  <image id="0" name="1.jpg" width="640" height="480">\n    {box}\n  </image>\n'
        '  <image id="1" name="2.jpg" width="640" height="480">\n  </image>\n</annotations>\n'
    )


WITH_ALL_IMAGES: list[Callable[[], Any]] = [
    vott_web, vott_json, vott_1, auto_ml, auto_ml_with_four_vertices, retinanet_csv, pandas, excel_in_german, excel_in_french,
    label_studio, label_studio_min, azure_ml, cvat,
]  # fmt: skip
ONLY_OBJECTS: list[Callable[[], Any]] = [
    vott_csv, vott_asset, make_sense_without_header, make_sense, roboflow_csv, auto_ml_without_set, auto_ml_with_header, open_images, kaggle,
    traffic_signs, lisa, udacity, excel_as_unicode_text, custom_vision, label_img, label_img_of_2016, roboflow_voc, cvat_voc, label_me_xml,
    ro_label_img,
]  # fmt: skip
FORMATS: dict[Callable[[], Any], Format] = {retinanet_csv: "corners"}


@pytest.mark.parametrize("tool", [*WITH_ALL_IMAGES, *ONLY_OBJECTS], ids=lambda tool: tool.__name__)
def test_export_is_read(tool: Callable[[], Any], tmp_path: Path) -> None:
    content = tool()
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    (tmp_path / "file").write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read(
        tmp_path / "file", "a", annotation_format=FORMATS.get(tool, "auto"), annotations_url="https://store/a", images_url="."
    )  # fmt: skip
    first, *others = found.images
    (box,) = first.boxes
    across, down = (640, 480) if box.normalized else (1, 1)
    assert (box.x * across, box.y * down, box.width * across, box.height * down) == pytest.approx(CAT, abs=1e-3)
    assert (box.label, first.size) in [("cat", None), ("cat", (640, 480))]
    assert "https://store/1.jpg" in (first.url, *first.others)
    assert [("https://store/2.jpg" in (image.url, *image.others), image.boxes) for image in others] == (
        [(True, [])] if tool in WITH_ALL_IMAGES else []
    )
    assert [finding for finding in found.findings if finding.kind != "file"] == []
