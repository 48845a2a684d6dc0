"""Archives with annotations and images, arranged as labelling tools arrange them: each box lies on its image."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.packed import Files, image, packed, voc
from vott_trainer.annotations import Annotations, Box, prepare, read
from vott_trainer.errors import BadAnnotationsError

URL = "https://store/data/export.zip?sv=1&sig=SECRET"
CAT, DOG = Box(1, 2, 3, 4, "cat"), Box(1, 2, 3, 4, "dog")
CAT_IN_FRACTIONS = Box(0.25, 0.25, 0.25, 0.5, "cat", normalized=True)


def coco(label: str, *names: str, image_id: int = 1) -> str:
    """COCO with an object of the same place and class on each image."""
    images = [{"id": image_id + n, "file_name": name, "width": 64, "height": 48} for n, name in enumerate(names)]
    objects = [{"id": n, "image_id": image_id + n, "category_id": 1, "bbox": [1, 2, 3, 4]} for n in range(len(names))]
    return json.dumps({"images": images, "categories": [{"id": 1, "name": label}], "annotations": objects})


def vott(path: str, label: str = "cat") -> dict[str, Any]:
    """The file of an asset of VoTT 2."""
    region = {
        "id": "r",
        "type": "RECTANGLE",
        "tags": [label],
        "boundingBox": {"left": 1, "top": 2, "width": 3, "height": 4},
    }
    return {
        "asset": {"id": "1", "name": path.rpartition("/")[2], "path": path, "state": 2, "type": 1},
        "regions": [region],
    }


def cvat(*images: str) -> str:
    """CVAT's file of images with an object each."""
    return f"<annotations>{''.join(images)}</annotations>"


def cvat_image(name: str, label: str, subset: str = "") -> str:
    """An image of CVAT."""
    box = f'<box label="{label}" xtl="1" ytl="2" xbr="4" ybr="6"/>'
    return f'<image id="0" name="{name}" subset="{subset}" width="64" height="48">{box}</image>'


def label_studio(path: str) -> str:
    """A task of Label Studio with the cat, in percent of the image."""
    value = {"x": 25, "y": 25, "width": 25, "height": 50, "rectanglelabels": ["cat"]}
    region = {"original_width": 100, "original_height": 100, "type": "rectanglelabels", "value": value}
    return json.dumps([{"id": 1, "data": {"image": path}, "annotations": [{"result": [region]}]}])


def azure_ml(url: str) -> str:
    """An image of Azure Machine Learning."""
    box = {"label": "cat", "topX": 0.25, "topY": 0.25, "bottomX": 0.5, "bottomY": 0.75, "isCrowd": 0}
    return json.dumps({"image_url": url, "label": [box]}) + "\n"


def parsed(files: Files, tmp_path: Path, kind: str = "zip", **options: Any) -> Annotations:
    path = packed(tmp_path / "annotations", files, kind)
    return read(path, "export.zip", **{"annotations_url": URL, **options})


def message(files: Files, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(files, tmp_path, **options)
    assert "SECRET" not in str(error.value)
    return str(error.value)


def boxes(found: Annotations) -> dict[str, list[Box]]:
    """The boxes of the images, by their names in the archive; each image's file must be the one of that name."""
    return {image.url.removeprefix("export.zip/"): image.boxes for image in found.images}


A, B = image(1), image(2)
LAYOUTS: dict[str, tuple[Files, dict[str, list[Box]]]] = {
    "VOC of the challenge": (
        {"VOC2012/Annotations/a.xml": voc("a.png"), "VOC2012/Annotations/b.xml": voc("b.png", "dog"),
         "VOC2012/JPEGImages/a.png": A, "VOC2012/JPEGImages/b.png": B, "VOC2012/ImageSets/Main/train.txt": "a\n",
          "VOC2012/ImageSets/Main/cat_train.txt": "a 1\nb -1\n"},
        {"VOC2012/JPEGImages/a.png": [CAT], "VOC2012/JPEGImages/b.png": [DOG]},
    ),
    "VOC of Roboflow, images of one name in two subsets": (
        {"train/a.xml": voc("a.png"), "train/a.png": A, "valid/a.xml": voc("a.png", "dog"), "valid/a.png": B,
         "README.roboflow.txt": "Cats, 2024-01-01"},
        {"train/a.png": [CAT], "valid/a.png": [DOG]},
    ),
    "VOC without the ending, or with a path of the annotator's": (
        {"xml/a.xml": voc("a"), "xml/b.xml": voc("").replace("<object>", "<path>C:\\\\me\\\\b.png</path><object>"), "img/a.png": A, "img/b.png": B},
        {"img/a.png": [CAT], "img/b.png": [CAT]},
    ),
    "VOC whose images were renamed with their files": (
        {"labels/a.xml": voc("IMG_001.png"), "images/a.png": A}, {"images/a.png": [CAT]},
    ),
    "COCO of Roboflow": (
        {"train/_annotations.coco.json": coco("cat", "a.png"), "train/a.png": A, "valid/_annotations.coco.json": coco("dog", "a.png"),
         "valid/a.png": B},
        {"train/a.png": [CAT], "valid/a.png": [DOG]},
    ),
    "COCO of the challenge: ids of each file are its own": (
        {"annotations/instances_train2017.json": coco("cat", "a.png"), "annotations/instances_val2017.json": coco("dog", "a.png"),
         "annotations/captions_train2017.json": json.dumps({"images": [], "annotations": [{"id": 1, "image_id": 1, "caption": "a cat"}]}),
         "train2017/a.png": A, "val2017/a.png": B},
        {"train2017/a.png": [CAT], "val2017/a.png": [DOG]},
    ),
    "COCO with other names, beside captions and images without annotations": (
        {"train.json": coco("cat", "a.png"), "val.json": coco("dog", "b.png"),
         "captions.json": '{"images": [], "annotations": [{"caption": "a cat"}]}',
         "image_info_test.json": '{"images": [{"id": 1, "file_name": "c.png"}], "categories": []}', "a.png": A, "b.png": B},
        {"a.png": [CAT], "b.png": [DOG]},
    ),
    "COCO of CVAT": (
        {"annotations/instances_default.json": coco("cat", "sub/a.png", "sub2/a.png"), "images/sub/a.png": A, "images/sub2/a.png": B},
        {"images/sub/a.png": [CAT], "images/sub2/a.png": [CAT]},
    ),
    "CVAT for images": (
        {"annotations.xml": cvat(cvat_image("a.png", "cat"), cvat_image("deep/b.png", "dog")), "images/a.png": A, "images/deep/b.png": B},
        {"images/a.png": [CAT], "images/deep/b.png": [DOG]},
    ),
    "CVAT of a project, images of one name in two subsets": (
        {"annotations.xml": cvat(cvat_image("a.png", "cat", "Train"), cvat_image("a.png", "dog", "Test")), "images/Test/a.png": B,
         "images/Train/a.png": A},
        {"images/Train/a.png": [CAT], "images/Test/a.png": [DOG]},
    ),
    "CVAT of a video's frames, without endings": (
        {"annotations.xml": cvat(cvat_image("frame_000001", "cat")), "images/frame_000001.PNG": A}, {"images/frame_000001.PNG": [CAT]},
    ),
    "VoTT's JSON export": (
        {"vott-json-export/pets-export.json": json.dumps({"name": "pets", "assets": {"1": vott("file:/home/me/pets/a%20b.png"),
         "2": vott("file:C:/pets/b.png", "dog")}}),
         "vott-json-export/a%20b.png": A, "vott-json-export/b.png": B},
        {"vott-json-export/a%2520b.png": [CAT], "vott-json-export/b.png": [DOG]},
    ),
    "VoTT's target folder: the export precedes the files of the assets": (
        {"pets.vott": "{}", "1-asset.json": json.dumps(vott("https://store/a.png", "old")),
         "vott-json-export/pets-export.json": json.dumps({"assets": {"1": vott("https://store/a.png")}}),
         "vott-json-export/a.png": A},
        {"vott-json-export/a.png": [CAT]},
    ),
    "VoTT's files of the assets": (
        {"1-asset.json": json.dumps(vott("https://store/x/a.png?sig=1")), "2-asset.json": json.dumps(vott("https://store/x/b.png", "dog")),
         "a.png": A, "b.png": B},
        {"a.png": [CAT], "b.png": [DOG]},
    ),
    "VoTT's CSV export": (
        {"vott-csv-export/pets-export.csv": '"image","xmin","ymin","xmax","ymax","label"\n"a.png",1,2,4,6,"cat"\n"clip.mp4#t=1.5",1,2,4,6,"dog"\n',
         "vott-csv-export/a.png": A, "vott-csv-export/clip.mp4#t=1.5.jpg": B},
        {"vott-csv-export/a.png": [CAT], "vott-csv-export/clip.mp4%23t%3D1.5.jpg": [DOG]},
    ),
    "COCO with the links of another server": (
        {"annotations.json": coco("cat", "a.png").replace('"file_name"', '"coco_url": "http://images.example/train2017/a.png", "file_name"'),
         "images/a.png": A},
        {"images/a.png": [CAT]},
    ),
    "Label Studio's JSON, images with their own names": (
        {"project.json": label_studio("/data/upload/1/0a1b2c3d-a.png"), "images/a.png": A}, {"images/a.png": [CAT_IN_FRACTIONS]},
    ),
    "Label Studio's JSON, images with the names that it gave them": (
        {"project.json": label_studio("/data/upload/1/0a1b2c3d-a.png"), "images/0a1b2c3d-a.png": A}, {"images/0a1b2c3d-a.png": [CAT_IN_FRACTIONS]},
    ),
    "Azure Machine Learning's lines": (
        {"train.jsonl": azure_ml("azureml://subscriptions/1/resourcegroups/2/workspaces/3/datastores/4/paths/pets/a.png"), "pets/a.png": A},
        {"pets/a.png": [CAT_IN_FRACTIONS]},
    ),
    "tables of one format, one of them without endings": (
        {"train.csv": "image,xmin,ymin,xmax,ymax,label\na.png,1,2,4,6,cat\n", "more.csv": "image,xmin,ymin,xmax,ymax,label\na,1,2,4,6,dog\n",
         "images/a.png": A}, {"images/a.png": [CAT, DOG]},
    ),
    "Open Images: the boxes of the masks are those of the table of boxes": (
        {"train-annotations-bbox.csv": "ImageID,LabelName,XMin,XMax,YMin,YMax\na,cat,0.25,0.5,0.25,0.75\n",
         "train-annotations-object-segmentation.csv": "MaskPath,ImageID,LabelName,BoxXMin,BoxXMax,BoxYMin,BoxYMax\na.png,a,cat,0.2,0.5,0.2,0.7\n",
         "train/a.jpg": A}, {"train/a.jpg": [CAT_IN_FRACTIONS]},
    ),
    "an image beside the table and another of its name": (
        {"boxes.csv": "a.png,1,2,3,4,cat\n", "a.png": A, "old/a.png": B}, {"a.png": [CAT]},
    ),
    "a table in the folder of a subset, beside that of the images": (
        {"train/labels/boxes.csv": "a.png,1,2,3,4,cat\n", "train/images/a.png": A, "test/images/a.png": B}, {"train/images/a.png": [CAT]},
    ),
    "a table above the images, in another Unicode form": (
        {"data/train.csv": "images/é.png,1,2,3,4,cat\n", "data/images/e\u0301.png": A}, {"data/images/e%CC%81.png": [CAT]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_boxes_lie_on_the_image_that_their_annotations_mean(layout: str, kind: str, tmp_path: Path) -> None:
    files, expected = LAYOUTS[layout]
    found = parsed(files, tmp_path, kind)
    assert boxes(found) == expected
    contents = {found.files[image.url].read_bytes(): image.boxes for image in found.images}
    meant = dict(zip((A, B), sorted(expected.values(), key=lambda found: found[0].label), strict=False))
    assert contents == meant or len(found.labels) == 1


def test_prepared_archive_is_read_by_several_processes_and_deleted(tmp_path: Path) -> None:
    path = packed(tmp_path / "annotations", LAYOUTS["CVAT for images"][0])
    prepare(path, "export.zip")
    assert not path.exists()
    assert read(path, "export.zip") == read(path, "export.zip")
    packed(path, {"a.xml": voc("a.png", "dog"), "a.png": A})
    prepare(path, "export.zip")
    assert read(path, "export.zip").labels == ["dog"]


def test_file_that_is_no_archive_is_prepared_by_doing_nothing(tmp_path: Path) -> None:
    path = tmp_path / "annotations"
    path.write_bytes(b"https://store/a.jpg,1,2,3,4,cat\n")
    prepare(path, "a.csv")
    assert read(path, "a.csv").labels == ["cat"]
    assert [found.name for found in tmp_path.iterdir()] == ["annotations"]


def test_errors_name_the_file_in_the_archive_and_the_line(tmp_path: Path) -> None:
    files = {"xml/a.xml": voc("a.png"), "xml/b.xml": voc("b.png").replace("<ymin>2", "<ymin>x"), "a.png": A, "b.png": B}
    assert "export.zip xml/b.xml line 3: expected ymin to be a number of pixels, found 'x'" in message(files, tmp_path)
    broken = {
        "train/_annotations.coco.json": coco("cat", "a.png"),
        "valid/_annotations.coco.json": "{",
        "train/a.png": A,
    }
    assert "export.zip valid/_annotations.coco.json line 1 column 2: expected JSON" in message(broken, tmp_path)


def test_one_broken_file_of_many_images_is_left_out_and_reported(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"{n}.xml": voc(f"{n}.png") for n in range(10)}
    files |= {f"{n}.png": image(n) for n in range(10)} | {"3.xml": "<annotation><filename>3.png"}
    found = parsed(files, tmp_path)
    assert len(found.images) == 9
    assert [finding.where for finding in found.findings] == ["export.zip", "export.zip 3.xml"]
    assert found.findings[0].what == "1 of 10 images are not used, because no annotation names them: 3.png"
    assert "expected XML" in found.findings[1].what


def test_two_names_that_would_be_one_image_refuse_the_archive(tmp_path: Path) -> None:
    files = {
        "train/_annotations.coco.json": coco("cat", "a.png"),
        "valid/_annotations.coco.json": coco("dog", "a.png"),
        "train/a.png": A,
    }
    error = message(files, tmp_path)
    assert "'train/a.png' and 'valid/a.png' would both be its image 'train/a.png'" in error


def test_many_images_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    names = [f"clip{clip}/{frame}.png" for clip in range(50) for frame in range(20)]
    files = {f"images/{name}": b"" for name in names}
    found = parsed({"annotations/frames.json": coco("cat", *names), **files}, tmp_path)
    assert boxes(found) == {f"images/{name}": [CAT] for name in names}


def test_name_that_fits_two_images_equally_well_is_refused(tmp_path: Path) -> None:
    error = message({"boxes.csv": "a.png,1,2,3,4,cat\n", "x/a.png": A, "y/a.png": B}, tmp_path)
    assert "boxes.csv line 1: expected one image 'a.png' in the archive, found 'x/a.png' and 'y/a.png'" in error


def test_image_of_the_same_case_is_meant_where_names_differ_in_case_alone(tmp_path: Path) -> None:
    files = {"x/boxes.csv": "a.png,1,2,3,4,cat\nA.png,1,2,3,4,dog\n", "images/A.png": A, "images/a.png": B}
    assert boxes(parsed(files, tmp_path)) == {"images/a.png": [CAT], "images/A.png": [DOG]}
    error = message({**files, "x/boxes.csv": "a.PNG,1,2,3,4,cat\n"}, tmp_path)
    assert "expected one image 'a.PNG' in the archive, found 'images/A.png' and 'images/a.png'" in error


def test_voc_file_that_names_another_image_than_its_own_is_refused(tmp_path: Path) -> None:
    error = message({"a.xml": voc("b.png"), "a.png": A, "b.png": B}, tmp_path)
    assert "a.xml names the image 'b.png', but has the name of 'a.png': correct one of the names" in error.replace(
        "a.xml: ", "a.xml "
    )


def test_image_that_the_archive_lacks_is_named(tmp_path: Path) -> None:
    error = message({"boxes.csv": "a.png,1,2,3,4,cat\nb.png,1,2,3,4,cat\n", "a.png": A}, tmp_path)
    assert (
        "boxes.csv line 2: expected the name of an image in the archive, found 'b.png': pack the images together"
        in error
    )


def test_archive_without_images_names_those_beside_it(tmp_path: Path) -> None:
    found = parsed({"annotations.xml": cvat(cvat_image("a b.png", "cat"))}, tmp_path)
    assert [image.url for image in found.images] == ["https://store/data/a%20b.png?sv=1&sig=SECRET"]
    found = parsed({"annotations.xml": cvat(cvat_image("a.png", "cat"))}, tmp_path, images_url="images")
    assert found.images[0].url == "https://store/data/images/a.png?sv=1&sig=SECRET"
    assert found.files == {}


def test_images_behind_links_are_downloaded_where_the_archive_has_none_of_that_name(tmp_path: Path) -> None:
    files = {"boxes.csv": "https://h/a.png?x=1,1,2,3,4,cat\nhttps://h/b.png,1,2,3,4,dog\n", "a.png": A}
    assert [image.url for image in parsed(files, tmp_path).images] == ["export.zip/a.png", "https://h/b.png"]


def test_annotations_in_other_formats_are_not_read_twice_but_reported(tmp_path: Path) -> None:
    files = {"a.xml": voc("a.png", "dog"), "pets.json": coco("cat", "a.png"), "a.png": A}
    found = parsed(files, tmp_path)
    assert boxes(found) == {"a.png": [CAT]}
    assert (
        found.findings[0].what
        == "pets.json (coco): read; a.xml (voc): not used. The parameter annotationFormat chooses a format"
    )
    assert parsed(files, tmp_path, annotation_format="voc").labels == ["dog"]
    error = message(files, tmp_path, annotation_format="yolo")
    assert "export.zip has annotations in the format coco and voc, none in the format yolo" in error


def test_corners_are_chosen_by_the_parameter(tmp_path: Path) -> None:
    files = {"boxes.csv": "a.png,1,2,4,6,cat\n", "a.png": A}
    assert boxes(parsed(files, tmp_path, annotation_format="corners")) == {"a.png": [CAT]}


def test_files_of_operating_systems_are_ignored(tmp_path: Path) -> None:
    files = {
        "a.csv": "a.png,1,2,3,4,cat\n",
        "a.png": A,
        "__MACOSX/._a.csv": b"\0\5\x16\7",
        "._a.png": b"\0",
        ".git/x.json": "{",
    }
    assert parsed(files, tmp_path).findings == []


def folders(*names: str) -> Files:
    """Images at these paths."""
    return {name: image(number) for number, name in enumerate(names)}


@pytest.mark.parametrize(
    "names",
    [
        ("cat/1.png", "cat/2.png", "dog/1.png"),
        ("pets/cat/1.png", "pets/cat/2.png", "pets/dog/1.png"),
        ("train/cat/1.png", "test/cat/2.png", "train/dog/1.png"),
        ("pets/train/cat/1.png", "pets/val/cat/2.png", "pets/val/dog/old/1.png"),
        ("cat/train/1.png", "cat/test/2.png", "dog/train/1.png"),
    ],
)  # fmt: skip
def test_folders_of_images_are_their_classes(names: tuple[str, ...], tmp_path: Path) -> None:
    prose = {
        "README.md": "# Pets",
        "notes.txt": "All of them are pets,\nmost of them cats.\n",
        "classes.txt": "cat\ndog\n",
    }
    found = parsed({**folders(*names), **prose}, tmp_path)
    assert [image.label for image in found.images] == ["cat", "cat", "dog"]
    assert found.findings == []


@pytest.mark.parametrize(
    "labels", [("label_0", "label_1"), ("left", "right"), ("semi_truck", "bullet_train"), ("a test", "b")]
)
def test_class_may_begin_like_the_name_of_another_folder(labels: tuple[str, str], tmp_path: Path) -> None:
    found = parsed(folders(f"{labels[0]}/1.png", f"{labels[1]}/1.png"), tmp_path)
    assert [image.label for image in found.images] == list(labels)


def test_folders_are_classes_where_the_parameter_says_so(tmp_path: Path) -> None:
    files = {**folders("images/1.png", "masks/1.png"), "boxes.csv": "1.png,1,2,3,4,cat\n"}
    assert parsed(files, tmp_path, annotation_format="folders").labels == ["images", "masks"]


@pytest.mark.parametrize(
    "names",
    [
        ("1.png", "2.png"),
        ("images/1.png", "images/2.png"),
        ("HR/1.png", "LR/1.png"),
        ("photos_train/1.png", "photos_test/1.png", "query/1.png"),
        ("train2017/1.png", "val2017/2.png"),
        ("bottle/train/good/1.png", "bottle/test/broken/1.png", "cable/train/good/1.png"),
    ],
    ids=[
        "no folder",
        "one folder",
        "two resolutions",
        "subsets",
        "subsets of a year",
        "subsets with classes of their own",
    ],
)
def test_other_folders_are_no_classes(names: tuple[str, ...], tmp_path: Path) -> None:
    assert "export.zip holds no annotations in a known format (images: " in message(folders(*names), tmp_path)


def test_image_in_no_folder_of_a_class_is_left_out_and_reported(tmp_path: Path) -> None:
    found = parsed(folders("cat/1.png", "dog/1.png", "3.png"), tmp_path)
    assert len(found.images) == 2
    assert [(finding.where, finding.what) for finding in found.findings][-1] == (
        "export.zip 3.png",
        "lies in no folder of a class: left out",
    )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"train/cats.tfrecord": b"\0"}, "export.zip holds TFRecord, which is not read: export its annotations in one of the formats"),
        ({"a.json": '{"shapes": [], "imagePath": "a.png"}', "a.png": A}, "a.json is JSON of LabelMe, which is not read"),
        ({"x/_annotations.createml.json": '[{"image": "a.png", "annotations": [{"label": "cat", "coordinates": {}}]}]'},
         "is JSON of CreateML, which is not read"),
        ({"label_2/1.txt": "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"},
         "label_2/1.txt is in the format of KITTI"),
        ({"labelTxt/1.txt": "imagesource:x\ngsd:1\n1 2 30 2 30 40 1 40 plane 0\n"}, "labelTxt/1.txt is in the format of DOTA"),
        ({"gt/gt.txt": "1,1,10,20,30,40,1,1,1\n", "img1/000001.png": A}, "gt/gt.txt is in the format of MOT"),
        ({"cats.mp4": b"\0"}, "export.zip holds videos, which is not read"),
        ({"cats.vott": b"{}"}, "export.zip holds a VoTT project, which does not contain the regions"),
        ({"cats.zip": b"PK"}, "export.zip holds another archive or compressed file: pack the files themselves"),
        ({"a.nii.gz": b""}, "export.zip holds NIfTI, which is not read"),
        ({"a.h5": b""}, "export.zip holds HDF5, which is not read"),
        (folders("gtFine/train/ulm/1_gtFine_labelIds.png", "leftImg8bit/train/ulm/1_leftImg8bit.png"),
         "gtFine/train/ulm/1_gtFine_labelIds.png is of Cityscapes, which is not read"),
        (folders("leftImg8bit/train/ulm/1.png", "leftImg8bit/train/bonn/1.png"), "is of Cityscapes"),
        (folders("bounding_box_train/0002_c1s3_000151_00.png", "bounding_box_test/0001_c1s1_001051_00.png", "query/1.png"), "is of Market-1501"),
        (folders("bbox_train/0000/1.png", "bbox_train/0001/1.png", "bbox_test/0002/1.png"), "is of MARS"),
        ({"GTTXT/1.txt": "1 1 10 10 10\n", **folders("RGB/1.png", "GT/1.png")}, "GTTXT/1.txt is in the format of SYNTHIA"),
        (folders("images/1.png", "masks/1.png"), "in a known format; masks/1.png marks objects by colours, which is not read"),
        (folders("train/1.png", "trainannot/1.png", "val/2.png", "valannot/2.png"), "trainannot/1.png marks objects by colours"),
        ({**folders("images/1.png", "masks/1.png"), "colours.csv": "name,r,g,b\n"}, "found 4: 'name,r,g,b'; masks/1.png marks objects"),
        ({"landmarks.txt": "a.png\t0\t4\t3\t3\t2\t2\t1\t0\t3\t0\n" * 2, "a.png": A}, "landmarks.txt each line has 6 numbers after the box"),
        ({"x/wider_face_val_bbx_gt.txt": "0--Parade/a.png\n1\n0 0 1 1 2 0 0 0 2 0\n", "0--Parade/a.png": A}, "is in the format of WIDER FACE"),
        ({"identity_CelebA.txt": "a.png 12\n", "a.png": A}, "identity_CelebA.txt is in the format of CelebA"),
        ({"a_atr.txt": "001 # 0 # 1 # sky # sky # \"\"\n", "a.png": A, "a_seg.png": B}, "a_atr.txt is in the format of ADE20K"),
        ({"pixels.csv": f"7{',0' * 784}\n"}, "pixels.csv is in the format of MNIST (a table of pixels)"),
        ({"ann/1.pcd.json": '{"key": "1", "objects": [], "figures": []}'}, "is JSON of Supervisely (point clouds)"),
        ({"list.txt": "a.png cat\nb.png dog\n", "a.png": A}, "list.txt line 1: expected commas between the fields, found blanks: 'a.png cat'"),
        ({"boxes.txt": "a.png,cat,1,2,4,6\n", **folders("cat/a.png", "dog/a.png")}, "boxes.txt line 1: expected url,x,y,width,height,class, found"),
        ({"a.txt": "1,0.5,0.5,0.1,0.1\n", "a.png": A}, "a.txt line 1: expected 6 fields (url,x,y,width,height,class), found 5: '1,0.5,0.5,0.1,0.1'"),
        ({"x.json": '{"a": 1}'}, "export.zip has no annotations in a known format; x.json is JSON, but neither"),
        ({"notes.json": '{"a": 1}', "b.json": '{"items": [], "categories": {}}'}, "b.json is JSON of Datumaro"),
        ({"train.xml": cvat("<track/>")}, "export.zip train.xml is CVAT for video"),
        ({}, "export.zip holds no annotations in a known format (images: 0, texts: 0)"),
    ],
)  # fmt: skip
def test_formats_that_are_not_read_are_named(files: Files, expected: str, tmp_path: Path) -> None:
    assert expected in message(files, tmp_path)
