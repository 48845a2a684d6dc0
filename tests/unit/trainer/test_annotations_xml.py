"""Pascal VOC's, LabelMe's and CVAT's XML: boxes, outlines and sizes; and what is refused, with its line."""

from pathlib import Path

import pytest

from vott_trainer.annotations import AnnotatedImage, Annotations, Box, read, xml_file
from vott_trainer.errors import BadAnnotationsError

URL = "https://store/voc/a.xml?sv=1&sig=SECRET"
BOUNDS = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>6</ymax></bndbox>"
CAT = f"<object><name>cat</name>{BOUNDS}</object>"
SIZE = "<size><width>640</width><height>480</height><depth>3</depth></size>"


def voc(*objects: str, name: str = "<filename>a.jpg</filename>", size: str = SIZE) -> str:
    """The file of one image."""
    return f"<annotation>\n<folder>pets</folder>\n{name}\n{size}\n{chr(10).join(objects)}\n</annotation>"


def parsed(document: str | bytes, tmp_path: Path, **options: str) -> Annotations:
    path = tmp_path / "file"
    path.write_bytes(document if isinstance(document, bytes) else document.encode())
    return read(path, "a.xml", **{"annotations_url": URL, **options})  # type: ignore[arg-type]


def message(document: str | bytes, tmp_path: Path, **options: str) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(document, tmp_path, **options)
    assert "SECRET" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1", "windows-1252"])
def test_voc_gives_boxes_and_the_images_size_in_any_encoding_that_the_file_names(encoding: str, tmp_path: Path) -> None:
    text = f"<?xml version='1.0' encoding='{encoding.removesuffix('-sig')}'?>" + voc(CAT.replace("cat", "chât"))
    assert parsed(text.encode(encoding), tmp_path).images == [
        AnnotatedImage("https://store/voc/a.jpg?sv=1&sig=SECRET", [Box(1, 2, 3, 4, "chât")], size=(640, 480))
    ]


@pytest.mark.parametrize(
    "size", ["", "<size><width>0</width><height>0</height></size>", "<size><width>x</width></size>", "<size/>"]
)
def test_size_that_a_tool_has_not_written_is_none(size: str, tmp_path: Path) -> None:
    assert parsed(voc(CAT, size=size), tmp_path).images[0].size is None


def test_objects_of_an_image_may_precede_its_name_and_parts_are_no_objects(tmp_path: Path) -> None:
    part = CAT.replace("</object>", f"<part><name>head</name>{BOUNDS}</part></object>")
    text = f"<annotation>{part}<path>C:\\pets\\b.jpg</path></annotation>"
    images = parsed(text, tmp_path, images_url=".").images
    assert images == [AnnotatedImage("https://store/voc/b.jpg?sv=1&sig=SECRET", [Box(1, 2, 3, 4, "cat")])]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("<filename>b</filename><path>/home/me/b.jpg</path>", "b.jpg"),
        ("<filename>b.1</filename><path>C:\\pets\\b.1.png</path>", "b.1.png"),
        ("<filename>b.jpg</filename><path>/home/me/other.png</path>", "b.jpg"),
        ("<filename>b</filename><path>/home/me/other.jpg</path>", "b"),
        ("<filename>b</filename>", "b"),
    ],
)
def test_name_without_its_ending_gets_that_of_the_path(names: str, expected: str, tmp_path: Path) -> None:
    assert parsed(voc(CAT, name=names), tmp_path).images[0].url == f"https://store/voc/{expected}?sv=1&sig=SECRET"


def test_several_boxes_of_an_object_and_several_files_in_one_are_refused(tmp_path: Path) -> None:
    several = CAT.replace(BOUNDS, BOUNDS * 2)
    assert "a.xml line 5: expected one bndbox in each object, found several" in message(voc(several), tmp_path)
    assert "a.xml holds several files of Pascal VOC in one: send an archive" in message(
        f"<annotations>{voc(CAT)}{voc(CAT)}</annotations>", tmp_path
    )


@pytest.mark.parametrize(
    "polygon",
    [
        "<polygon><x1>1</x1><y1>2</y1><x2>9</x2><y2>2</y2><x3>9</x3><y3>7.5</y3></polygon>",
        "<polygon><username/><pt><x>1</x><y>2</y></pt><pt><x>9</x><y>2</y></pt><pt><x>9</x><y>7.5</y></pt></polygon>",
    ],
    ids=["Roboflow", "LabelMe"],
)
def test_polygon_is_the_outline_and_stands_in_for_a_missing_box(polygon: str, tmp_path: Path) -> None:
    outline = (((1, 2, 9, 2, 9, 7.5),),)
    objects = [f"<object><name>cat</name>{box}{polygon}</object>" for box in (BOUNDS, "")]
    boxes = parsed(voc(*objects), tmp_path).images[0].boxes
    assert boxes == [Box(1, 2, 3, 4, "cat", outline), Box(1, 2, 8, 5.5, "cat", outline)]


def test_objects_that_were_deleted_in_labelme_are_skipped_and_its_size_is_read(tmp_path: Path) -> None:
    size = "<imagesize><nrows>480</nrows><ncols>640</ncols></imagesize>"
    image = parsed(voc(CAT, CAT.replace("</name>", "</name><deleted>1</deleted>"), size=size), tmp_path).images[0]
    assert (len(image.boxes), image.size) == (1, (640, 480))


def test_rotated_box_is_an_outline_with_the_box_around_it(tmp_path: Path) -> None:
    rotated = "<robndbox><cx>10</cx><cy>20</cy><w>6</w><h>2</h><angle>0.5235987755982988</angle></robndbox>"
    (box,) = parsed(voc(f"<object><name>ship</name>{rotated}</object>"), tmp_path).images[0].boxes
    assert (box.x, box.y, box.width, box.height) == pytest.approx((6.9019, 17.634, 6.1962, 4.7321), abs=1e-4)
    assert box.outline
    ((ring,),) = box.outline
    assert ring[:4] == pytest.approx((7.9019, 17.634, 13.0981, 20.634), abs=1e-4)  # the upper side falls to the right


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (voc("<object><name>cat</name></object>"), "a.xml line 5: expected bndbox or polygon"),
        (voc(CAT.replace("<name>cat</name>", "")), "a.xml line 5: expected a class name, found nothing"),
        (voc(CAT.replace("4</xmax>", "0</xmax>")), "a.xml line 5: expected the second x to be at least the first"),
        (voc(CAT.replace("<ymin>2</ymin>", "")), "a.xml line 5: expected ymin to be a number of pixels, found ''"),
        (voc(CAT, name=""), "a.xml expected the URL of an image, found nothing"),
        (voc(CAT)[:-13], "a.xml line 6 column 1: expected XML (no element found)"),
        (voc(CAT).replace("</folder>", "</x>"), "a.xml line 2 column 15: expected XML (mismatched tag)"),
        (b"<?xml version='1.0' encoding='gbk'?><annotation/>", "a.xml expected XML in UTF-8, found another encoding"),
        ("<svg/>", "a.xml is XML with the root element 'svg', expected Pascal VOC (annotation)"),
        ("<a>" * 101, "a.xml is XML with the root element 'a'"),
        ("<annotation>" * 101, "a.xml line 1: expected elements nested at most 100 deep"),
        (voc(CAT.replace("cat", "&cat;")), "expected XML (undefined entity)"),
    ],
)
def test_invalid_file_is_refused_with_its_line(document: str | bytes, expected: str, tmp_path: Path) -> None:
    assert expected in message(document, tmp_path)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">',
        '<!ENTITY b SYSTEM "file:///etc/passwd">',
        '<!ENTITY b SYSTEM "http://169.254.169.254/">',
        '<!ENTITY % b SYSTEM "http://169.254.169.254/x.dtd"> %b;',
    ],
    ids=["expanding", "file", "URL", "parameter"],
)
def test_entity_declarations_are_refused(declaration: str, tmp_path: Path) -> None:
    text = f"<!DOCTYPE annotation [{declaration}]>{voc(CAT.replace('cat', '&b;'))}"
    assert "declares the XML entity" in message(text, tmp_path)


def test_document_type_without_entities_is_harmless(tmp_path: Path) -> None:
    text = f'<!DOCTYPE annotation SYSTEM "http://169.254.169.254/voc.dtd">{voc(CAT)}'
    assert parsed(text, tmp_path).labels == ["cat"]


def test_format_that_a_message_names_must_be_the_files(tmp_path: Path) -> None:
    assert "a.xml is in the format voc, not in corners" in message(voc(CAT), tmp_path, annotation_format="corners")
    assert "a.xml is not in the format voc, which is XML" in message("{}", tmp_path, annotation_format="voc")
    assert parsed(voc(CAT), tmp_path, annotation_format="voc").labels == ["cat"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"<annotation><a " + b" ".join(b'a%d=""' % n for n in range(50_000)) + b"/>", "has a tag of more than 0 MiB"),
        (b"<annotation><a>" + b"<b/>" * 5000, "has more than 0 MiB in one element"),
        (b"<annotation><a>" + b"text\n" * 100_000, "has more than 0 MiB in one element"),
        (b"<annotation><a>" + b"<b>text</b>" * 5000, "has more than 0 MiB in one element"),
    ],
    ids=["attributes", "elements", "text", "text of elements"],
)
def test_large_parts_are_refused_before_they_take_memory(
    content: bytes, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xml_file, "MAX_TAG_BYTES", 1 << 17)
    monkeypatch.setattr(xml_file, "MAX_COST", 1 << 18)
    assert expected in message(content, tmp_path)


CVAT_BOX = '<box label="cat" source="manual" occluded="0" xtl="1" ytl="2" xbr="4" ybr="6" z_order="0"><attribute name="a">1</attribute></box>'


def cvat(*shapes: str, name: str = "a.jpg", more: str = "") -> str:
    """A task with one image on line 3."""
    image = f'<image id="0" name="{name}" subset="Train" width="640" height="480">\n{chr(10).join(shapes)}\n</image>'
    return f"<annotations><version>1.1</version>\n<meta><task><labels/></task></meta>\n{image}{more}</annotations>"


@pytest.mark.parametrize("annotation_format", ["auto", "cvat"])
def test_cvat_gives_boxes_and_the_images_sizes(annotation_format: str, tmp_path: Path) -> None:
    more = '<image id="1" name="sub/b c.jpg" width="9" height="9"/>'
    assert parsed(cvat(CVAT_BOX, more=more), tmp_path, annotation_format=annotation_format).images == [
        AnnotatedImage("https://store/voc/a.jpg?sv=1&sig=SECRET", [Box(1, 2, 3, 4, "cat")], size=(640, 480)),
        AnnotatedImage("https://store/voc/sub/b%20c.jpg?sv=1&sig=SECRET", size=(9, 9)),
    ]


@pytest.mark.parametrize(
    ("shape", "bounds", "first"),
    [
        ('<polygon label="cat" points="1.5,2;9,2;9,7"/>', (1.5, 2, 7.5, 5), (1.5, 2)),
        ('<box label="cat" xtl="7" ytl="19" xbr="13" ybr="21" rotation="30"/>', (6.9019, 17.634, 6.1962, 4.7321), (7.9019, 17.634)),
        ('<box label="cat" xtl="7" ytl="19" xbr="13" ybr="21" rotation="90.0"/>', (9, 17, 2, 6), (11, 17)),
        ('<ellipse label="cat" cx="10" cy="20" rx="5" ry="2"/>', (5, 18, 10, 4), (15, 20)),
        ('<ellipse label="cat" cx="10" cy="20" rx="5" ry="2" rotation="90"/>', (8, 15, 4, 10), (10, 25)),
    ],
    ids=["polygon", "box rotated by 30 degrees", "box on its side", "ellipse", "ellipse on its side"],
)  # fmt: skip
def test_shapes_of_cvat_are_outlines_with_the_box_around_them(
    shape: str, bounds: tuple[float, ...], first: tuple[float, float], tmp_path: Path
) -> None:
    (box,) = parsed(cvat(shape), tmp_path).images[0].boxes
    assert (box.x, box.y, box.width, box.height) == pytest.approx(bounds, abs=1e-4)
    assert box.outline
    ((ring,),) = box.outline
    assert ring[:2] == pytest.approx(first, abs=1e-4)


def test_mask_of_cvat_is_traced_row_by_row_within_its_box(tmp_path: Path) -> None:
    mask = '<mask label="cat" left="100" top="50" width="4" height="2" rle="0, 4, 2, 2"/>'  # the upper row, and the right half of the lower
    (box,) = parsed(cvat(mask), tmp_path).images[0].boxes
    assert (box.x, box.y, box.width, box.height) == (100, 50, 4, 2)
    assert box.outline
    ((ring,),) = box.outline
    points = set(zip(ring[::2], ring[1::2], strict=True))
    assert min(points)[0] >= 99.5
    assert max(x for x, _ in points) <= 104.5
    assert max(y for x, y in points if x < 101) < max(y for _, y in points)  # nothing of the lower row on the left


@pytest.mark.parametrize("rle", ["", "4, 5", "x", "-1, 9", "8" * 100, "0, 8, 0, 1"])
def test_mask_that_can_not_be_read_leaves_its_box(rle: str, tmp_path: Path) -> None:
    mask = f'<mask label="cat" left="100" top="50" width="4" height="2" rle="{rle}"/>'
    assert parsed(cvat(mask), tmp_path).images[0].boxes == [Box(100, 50, 4, 2, "cat", ())]


def test_shapes_without_area_are_left_out_and_reported_however_many_there_are(tmp_path: Path) -> None:
    line = '<polyline label="road" points="1,2;3,4"/>'
    annotations = parsed(cvat(*[line] * 30, '<points label="eye" points="1,2"/>', CVAT_BOX), tmp_path)
    assert annotations.labels == ["cat"]
    assert annotations.findings[0].where == "a.xml line 4"
    assert annotations.findings[0].what == "is a line, expected a box, polygon, ellipse or mask: left out"
    assert annotations.findings[-1].what == "11 more of this kind"
    assert "a.xml has no annotated object (a.xml line 4 is a line, expected a box" in message(cvat(line), tmp_path)


def test_tags_are_classes_of_images_unless_there_are_shapes(tmp_path: Path) -> None:
    tag = '<tag label="tabby" source="manual"/>'
    assert parsed(cvat(tag), tmp_path).images[0].label == "tabby"
    other = f'<image id="1" name="b.jpg">{tag}</image>'
    annotations = parsed(cvat(CVAT_BOX, more=other), tmp_path)
    assert [image.label for image in annotations.images] == [None, None]
    assert annotations.findings[0].what == "a tag of an image is used only if there are no shapes"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (cvat(more="<track/>"), "a.xml is CVAT for video: export the task in the format CVAT for images 1.1"),
        (cvat(CVAT_BOX.replace('label="cat"', "")), "a.xml line 4: expected a class name, found nothing"),
        (cvat(CVAT_BOX.replace('xbr="4"', "")), "a.xml line 4: expected xbr to be a number of pixels, found ''"),
        (cvat(CVAT_BOX.replace('xbr="4"', 'xbr="0"')), "a.xml line 4: expected the second x"),
        (cvat('<polygon label="cat" points="1,2;3"/>'), "a.xml line 4: expected points to be x,y;x,y;… in pixels"),
        (cvat('<box label="cat" xtl="1" ytl="2" xbr="4" ybr="6" rotation="x"/>'), "a.xml line 4: expected rotation to be a number"),
        (cvat(CVAT_BOX, name=""), "a.xml line 3: expected the URL of an image, found nothing"),
    ],
)  # fmt: skip
def test_invalid_part_of_cvat_is_named_by_its_line(document: str, expected: str, tmp_path: Path) -> None:
    assert expected in message(document, tmp_path)
