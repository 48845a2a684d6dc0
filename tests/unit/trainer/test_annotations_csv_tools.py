"""CSV of annotation tools: columns found by their names or by a line's unmistakable fields, or refused by what they look like."""

from pathlib import Path
from typing import Any

import pytest

from vott_trainer.annotations import AnnotatedImage, Annotations, Box, Format, read
from vott_trainer.annotations.findings import Finding
from vott_trainer.errors import BadAnnotationsError

CAT = Box(10, 20, 30, 40, "cat")
VIA = "is VGG Image Annotator's CSV, whose boxes are JSON: export COCO instead"
HALF = Box(0.125, 0.25, 0.5, 0.25, "cat", normalized=True)


def parsed(content: str, tmp_path: Path, annotation_format: Format = "auto") -> Annotations:
    (tmp_path / "file").write_text(content, encoding="utf-8")
    return read(tmp_path / "file", "a.csv", annotation_format=annotation_format, annotations_url="https://store/a.csv")


def refusal(content: str, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(content, tmp_path, **options)
    return str(error.value)


def image(*boxes: Box, name: str = "a.jpg", **others: Any) -> AnnotatedImage:
    return AnnotatedImage(f"https://store/{name}", list(boxes), **others)


@pytest.mark.parametrize(
    ("header", "line", "box"),
    [
        ("image_name,xmin,ymin,xmax,ymax,label", "a.jpg,10,20,40,60,cat", CAT),
        ("img,left,top,right,bottom,category", "a.jpg,10,20,40,60,cat", CAT),
        ("Image Path,X Min,Y Min,X Max,Y Max,Class Name", "a.jpg,10,20,40,60,cat", CAT),
        ("class_name,class_id,x_min,y_min,x_max,y_max,file_name", "cat,7,10,20,40,60,a.jpg", CAT),
        ("Filename,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,Tag", "a.jpg,10,20,40,60,cat", CAT),
        ("image,x0,y0,x1,y1,label", "a.jpg,10,20,40,60,cat", CAT),
        ("image,xtl,ytl,xbr,ybr,label", "a.jpg,10,20,40,60,cat", CAT),
        ("image,label,x,y,w,h", "a.jpg,cat,10,20,30,40", CAT),
        ("image,label,left,top,width,height", "a.jpg,cat,10,20,30,40", CAT),
        ("image,label,bbox_x,bbox_y,bbox_width,bbox_height", "a.jpg,cat,10,20,30,40", CAT),
        ("image,label,xmin,ymin,width,height", "a.jpg,cat,10,20,30,40", CAT),
        ("image,label,x_center,y_center,width,height", "a.jpg,cat,25,40,30,40", CAT),
        (",image,xmin,ymin,xmax,ymax,label", "0,a.jpg,10,20,40,60,cat", CAT),
        ("Unnamed: 0,image,xmin,ymin,xmax,ymax,label,", "0,a.jpg,10,20,40,60,cat,", CAT),
        ("frame,xmin,xmax,ymin,ymax,class_id", "a.jpg,10,40,20,60,7", Box(10, 20, 30, 40, "7")),
        ("image,xmin (px),ymin [px],xmax (px),ymax (px),label", "a.jpg,10,20,40,60,cat", CAT),
        ("image,filename,xmin,ymin,xmax,ymax,label", "17,a.jpg,10,20,40,60,cat", CAT),
        ("fname,bbox_x1,bbox_y1,bbox_x2,bbox_y2,class", "a.jpg,10,20,40,60,cat", CAT),
        ("image,top_left_x,top_left_y,bottom_right_x,bottom_right_y,label", "a.jpg,10,20,40,60,cat", CAT),
        ("# image,xmin,ymin,xmax,ymax,label", "a.jpg,10,20,40,60,cat", CAT),
        ("image,xmin,ymin,xmax,ymax,label,comment,split", "a.jpg,10,20,40,60,cat,blurred,train", CAT),
        ("image,label,cx,cy,w,h", "a.jpg,cat,0.375,0.375,0.5,0.25", HALF),
        ("image,xmin,ymin,xmax,ymax,label", "a.jpg,0.125,0.25,0.625,0.5,cat", HALF),
    ],
)
def test_columns_are_found_by_their_names(header: str, line: str, box: Box, tmp_path: Path) -> None:
    assert parsed(f"{header}\n{line}\n", tmp_path).images == [image(box)]


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("filename,width,height,class,xmin,ymin,xmax,ymax", "a.jpg,640,480,cat,10,20,40,60"),
        ("label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height", "cat,10,20,30,40,a.jpg,640,480"),
        ("image,x,y,w,h,label,width,height", "a.jpg,10,20,30,40,cat,640,480"),
        ("Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassName", "a.jpg;640;480;10;20;40;60;cat"),
    ],
)  # fmt: skip
def test_size_of_the_image_is_read_where_columns_have_it(header: str, line: str, tmp_path: Path) -> None:
    assert parsed(f"{header}\n{line}\n", tmp_path).images == [image(CAT, size=(640, 480))]


@pytest.mark.parametrize("size", ["0,0", ",", "30,40", "unknown,480"], ids=["zeros", "empty", "of the box", "text"])
def test_size_that_contradicts_the_boxes_is_not_used(size: str, tmp_path: Path) -> None:
    content = f"filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,{size},cat,10,20,40,60\n"
    assert parsed(content, tmp_path).images == [image(CAT)]


@pytest.mark.parametrize(
    ("content", "images"),
    [
        ("a.jpg,640,480,cat,10,20,40,60\nb.jpg,640,480,,,,,\n", [image(CAT, size=(640, 480)), image(name="b.jpg")]),
        ("cat,10,20,30,40,a.jpg,640,480\n7,10,20,30,40,a.jpg,640,480\n", [image(CAT, Box(10, 20, 30, 40, "7"), size=(640, 480))]),
        ("TRAIN,a.jpg,cat,0.125,0.25,,,0.625,0.5,,\nTEST,b.jpg,,,,,,,,,\n", [image(HALF), image(name="b.jpg")]),
        (",a.jpg,cat,0.125,0.25,0.625,0.25,0.625,0.5,0.125,0.5\nUNASSIGNED,b.jpg\n", [image(HALF), image(name="b.jpg")]),
        ("a.jpg,cat,0.125,0.25,,,0.625,0.5,,\nb.jpg,,,,,,,,,\n", [image(HALF), image(name="b.jpg")]),
        ("training,a.jpg,cat\nTEST,b.jpg,dog\n", [image(label="cat"), image(name="b.jpg", label="dog")]),
        ("cat,a.jpg\ndog,b.jpg\n", [image(label="cat"), image(name="b.jpg", label="dog")]),
        ("0,a.jpg,10,20,30,40,cat\n1,b.jpg,,,,,\n", [image(CAT), image(name="b.jpg")]),
        ("0,a.jpg,cat\n1,b.jpg,dog\n", [image(label="cat"), image(name="b.jpg", label="dog")]),
        ("filename,label,split,source\na.jpg,cat,train,x\nb.jpg,dog,val,y\n", [image(label="cat"), image(name="b.jpg", label="dog")]),
        ("image_id,width,height,label\na.jpg,640,480,cat\n", [image(label="cat")]),
        ("image,id,choice,annotator\na.jpg,1,cat,me\n", [image(label="cat")]),
    ],
    ids=[
        "TensorFlow", "make-sense", "AutoML", "AutoML, four corners", "AutoML, no set", "AutoML, whole images", "class first", "pandas",
        "pandas, whole images", "further columns", "sizes", "Label Studio",
    ],
)  # fmt: skip
def test_other_tools_are_recognized(content: str, images: list[AnnotatedImage], tmp_path: Path) -> None:
    annotations = parsed(content, tmp_path)
    assert annotations.images == images
    assert annotations.findings == []


def test_image_alone_may_come_first(tmp_path: Path) -> None:
    assert parsed("b.jpg\na.jpg,cat\n", tmp_path).images == [image(name="b.jpg"), image(label="cat")]


OPEN_IMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)


def test_open_images_has_fractions_names_without_suffix_and_groups(tmp_path: Path) -> None:
    lines = ["a,xclick,/m/01,1,0.125,0.625,0.25,0.5,0,0,0,0,0", "a,xclick,/m/01,1,0,1,0,1,0,0,1,0,0"]
    annotations = parsed("\n".join([OPEN_IMAGES, *lines]), tmp_path)
    assert annotations.images == [image(Box(0.125, 0.25, 0.5, 0.25, "/m/01", normalized=True))]
    assert annotations.findings == [Finding("line", "a.csv line 3", "a box around a group of objects: left out")]


def test_fractions_are_read_as_such_with_a_note(tmp_path: Path) -> None:
    (finding,) = parsed("image,xmin,ymin,xmax,ymax,label\na.jpg,0.125,0.25,0.625,0.5,cat\n", tmp_path).findings
    assert finding == Finding(
        "file", "a.csv", "the boxes are read as fractions of their images: the numbers of the first lines lie between 0 and 1"
    )  # fmt: skip
    assert parsed("a.jpg,0.125,0.25,0.625,0.5,cat\n", tmp_path, "corners").images == [image(HALF)]


def test_pixels_among_fractions_are_an_invalid_line(tmp_path: Path) -> None:
    content = "image,xmin,ymin,xmax,ymax,label\n" + "a.jpg,0.125,0.25,0.625,0.5,cat\n" * 19
    findings = parsed(content + "b.jpg,10,20,40,60,cat\n", tmp_path).findings
    assert findings[1] == Finding(
        "line", "a.csv line 21", "expected fractions of the image, from 0 to 1, found the corners 10, 20, 40, 60"
    )


@pytest.mark.parametrize("line", ["a.jpg,0,0,1,1,cat", "a.jpg,0.2,0.2,0.4,0.4,cat\nb.jpg,10,20,40,60,cat"])
def test_whole_numbers_and_mixed_ones_are_pixels(line: str, tmp_path: Path) -> None:
    annotations = parsed(f"image,xmin,ymin,xmax,ymax,label\n{line}\n", tmp_path)
    assert not any(box.normalized for image in annotations.images for box in image.boxes)
    assert annotations.findings == []


@pytest.mark.parametrize(
    "line",
    [
        "cat,10,20,30,40,a.jpg",
        "a.jpg,cat,10,20,40,60",
        "0,a.jpg,cat,10,20,40,60",
        "a.jpg,640,480,cat,10,20,4,6",
        "a.jpg,10,20,30,40,7,640,480",
        "a.jpg,10,20,30,40,7,cat",
        "7,10,20,30,40,a.jpg",
        "TRAIN,a.jpg,cat,dog",
        "cat,10,20,3000,40,a.jpg,640,480",
        "a.jpg,cat,1,2,3,4,5,6,7,8",
        "TRAIN,a.jpg,cat,10,20,,,40,60,,",
        "https://store/a.jpg,cat,10,20,40,60",
    ],
)
def test_order_that_can_not_be_known_is_refused_with_the_remedy(line: str, tmp_path: Path) -> None:
    error = refusal(f"{line}\n" * 20, tmp_path)
    assert f"a.csv line 1: expected url,x,y,width,height,class, found the columns in another order: '{line}'" in error
    assert "Write a first line that names them, such as image,xmin,ymin,xmax,ymax,label" in error


def test_lines_of_numbers_below_a_header_are_no_other_format(tmp_path: Path) -> None:
    content = "image_id,class_id,x1,y1,x2,y2,score,a,b\n1,7,10,20,40,60,1,1,1\n"
    assert parsed(content, tmp_path).images == [image(Box(10, 20, 30, 40, "7"), name="1")]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\na.jpg,1,{},1,0,{},{}", VIA),
        ("image,x1,y1,x2,y2,x3,y3,x4,y4,label\na.jpg,1,2,3,4,5,6,7,8,cat", "is a table of rotated boxes with four corners each: export COCO instead"),
        ("ImageID,Source,LabelName,Confidence\n000a,verification,/m/01,0", "is Open Images' labels of whole images"),
        ("filename,cat,dog\na.jpg,1,0\nb.jpg,0,1", "looks like one column of 0 and 1 for each class, expected one column"),
        ("image,x,y,width,height,label,width,height\na.jpg,1,2,3,4,cat,5,6", "line 1: names two columns 'width': give each a name of its own"),
        ("image,label,xmin,ymin,xmax,ymax,Label\na.jpg,cat,1,2,3,4,dog", "line 1: names two columns 'label': give each a name of its own"),
        ("image,xmin (%),ymin (%),xmax (%),ymax (%),label\na.jpg,1,2,3,4,cat", "line 1: names a column in percent, 'xmin (%)': write pixels"),
        ("image,label,x_pct,y_pct,w_pct,h_pct\na.jpg,cat,1,2,3,4", "no column for each side of the box"),
        ("fname,labels,is_valid\na.jpg,chair person,True", "line 1: expected a header such as image,xmin,ymin,xmax,ymax,label"),
        ("id,breed,who\na.jpg,beagle,me", "line 1: expected the image and the class, or their names such as url,class, found 'id,breed,who'"),
        ("cat,0\ndog,1", "is a list of classes and their numbers: send the file with the images and their boxes"),
        ("a.jpg,cat\nb.jpg,dog\nc.jpg,cat,dog", "has lines with several classes, such as 'cat,dog': choose one class for each"),
        ("gs://pets/a.jpg,cat,0.1,0.2,,,0.4,0.6,,", "found 'gs://pets/a.jpg': set the parameter imagesUrl to the URL of the folder"),
        (",1,2,3,4,a.jpg,640,480", "line 1: expected a class name, found nothing"),
        ('image,id,label,annotator\na.jpg,1,"[{""x"": 1}]",me', "expected a class name, found JSON, as in Label Studio's CSV: export JSON instead"),
        ("image_id,width,height,bbox\na.jpg,640,480,\"[1, 2, 3, 4]\"", "no column for the class and each side of the box"),
        ("image,x,y,label\na.jpg,1,2,cat", "no column for each side of the box"),
        ("xmin,ymin,xmax,ymax,label\n1,2,3,4,cat", "no column for the image"),
        ("Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59", "is in the format of KITTI, which is not read"),
        ("imagesource:x\ngsd:1\n1 2 30 2 30 40 1 40 plane 0", "is in the format of DOTA"),
        ("1,1,10,20,30,40,1,1,1", "is in the format of MOT"),
        ("10,20,40,20,40,60,10,60,FOOD", "is in the format of ICDAR"),
        ("\ufeff10,20,40,20,40,60,10,60,###", "is in the format of ICDAR"),
        (f"5{',0' * 784}\n7{',0' * 784}", "is in the format of MNIST (a table of pixels)"),
        ("a.jpg,69,109,106,113,77,142,73,152,108,154\nb.jpg,1,2,3,4,5,6,7,8,9,10", "each line has 6 numbers after the box, expected"),
        ("a.jpg cat\nb.jpg dog", "expected commas between the fields, found blanks: 'a.jpg cat'"),
        ("0 0.5 0.5 0.25 0.25\n1 0.5 0.5 0.25 0.25", "is YOLO's file of one image, which does not name it: send an archive (.zip) with the images"),
        ("a.jpg 1,2,3,4,0 5,6,7,8,1", "expected commas between the fields, found blanks"),
        ("a.jpg 3\nb.jpg 4", "expected commas between the fields, found blanks"),
    ],
    ids=[
        "VIA", "rotated", "Open Images' labels", "one-hot", "two sizes", "two classes", "percent", "short for percent", "fastai", "unknown names",
        "RetinaNet's classes", "several classes", "bucket", "no class", "Label Studio", "list of numbers", "points", "no image",
        "KITTI", "DOTA", "MOT", "ICDAR", "ICDAR with a mark", "MNIST", "key points", "list", "YOLO", "keras-yolo", "blanks",
    ],
)  # fmt: skip
def test_file_of_another_kind_is_refused_by_its_name(content: str, what: str, tmp_path: Path) -> None:
    assert what in refusal(content, tmp_path)


def test_class_without_a_box_is_refused_with_the_remedy(tmp_path: Path) -> None:
    error = refusal("image,xmin,ymin,xmax,ymax,label\na.jpg,1,2,3,4,cat\nb.jpg,,,,,No finding\n", tmp_path)
    assert (
        "line 3: expected the box of class 'No finding', found none; an image without objects has no class either"
        in error
    )


def corners_of_large_objects(count: int) -> str:
    return "".join(f"{number}.jpg,{number},20,{40 + number},60,cat\n" for number in range(count))


def test_order_that_may_be_corners_is_reported_with_the_parameter(tmp_path: Path) -> None:
    (finding,) = parsed(corners_of_large_objects(10), tmp_path).findings
    assert finding.kind == "file"
    assert "read as x,y,width,height, but all of them could be two corners" in finding.what
    assert "annotationFormat to corners" in finding.what


@pytest.mark.parametrize(
    ("content", "annotation_format"),
    [
        (corners_of_large_objects(9), "auto"),
        (corners_of_large_objects(10) + "a.jpg,50,20,40,60,cat\n", "auto"),
        ("a.jpg,10,20,30,40,cat\n" * 20, "auto"),
        (corners_of_large_objects(10), "vott-web"),
        (corners_of_large_objects(10), "corners"),
        ("url,x,y,width,height,class\n" + corners_of_large_objects(10), "auto"),
    ],
    ids=["few", "one is no corner", "all the same", "named", "corners", "header"],
)
def test_order_is_not_doubted_without_reason(content: str, annotation_format: Format, tmp_path: Path) -> None:
    assert parsed(content, tmp_path, annotation_format).findings == []
