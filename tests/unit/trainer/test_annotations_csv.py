"""CSV annotations: accepted spellings, detection of separator and header, errors for invalid lines, and how many may be left out."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from vott_trainer.annotations import AnnotatedImage, Annotations, Box, read
from vott_trainer.annotations.findings import MAX_LISTED, Finding
from vott_trainer.errors import BadAnnotationsError

IMAGE = "https://store/a.jpg"
GOOD_LINE = f"{IMAGE},1,2,3,4,cat\n"


def parsed(content: bytes, tmp_path: Path, **options: Any) -> Annotations:
    path = tmp_path / "file"
    path.write_bytes(content)
    return read(path, "annotations.csv", **options)


def message(content: bytes, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(content, tmp_path, **options)
    return str(error.value)


def test_boxes_of_one_image_are_gathered_and_labels_sorted(tmp_path: Path) -> None:
    annotations = parsed(
        f"{IMAGE},1,2,3,4,dog\nhttps://store/b.jpg,1,2,3,4,cat\n{IMAGE},5,6,7.5,8,cat\n".encode(), tmp_path
    )
    assert [image.url for image in annotations.images] == [IMAGE, "https://store/b.jpg"]
    assert annotations.images[0].boxes == [Box(1, 2, 3, 4, "dog"), Box(5, 6, 7.5, 8, "cat")]
    assert annotations.labels == ["cat", "dog"]


@pytest.mark.parametrize(
    "content",
    [
        b"https://store/a.jpg,1,2,3,4,cat",
        b"https://store/a.jpg,1,2,3,4,cat\r\n",
        b"\xef\xbb\xbfhttps://store/a.jpg,1,2,3,4,cat\n",
        b"\n\r\n  \nhttps://store/a.jpg, 1, 2, 3, 4, cat \n\n",
        b'"https://store/a.jpg","1","2","3","4","cat"\n',
        b"url,x,y,width,height,class\nhttps://store/a.jpg,1,2,3,4,cat\n",
        b"image,xmin,ymin,xmax,ymax,label\nhttps://store/a.jpg,1,2,4,6,cat\n",
        b'\xef\xbb\xbf"image","xmin","ymin","xmax","ymax","label"\r\n"https://store/a.jpg",1,2,4,6,"cat"\r\n',
        b"\nfilename,width,height,class,xmin,ymin,xmax,ymax\nhttps://store/a.jpg,640,480,cat,1,2,4,6\n",
        b"Label,X1,Y1,X2,Y2,URL\ncat,1,2,4,6,https://store/a.jpg\n",
        b"https://store/a.jpg;1;2;3;4;cat\r\n",
        b"https://store/a.jpg\t1\t2\t3\t4\tcat\n",
        b"image;xmin;ymin;xmax;ymax;label\nhttps://store/a.jpg;1;2;4;6;cat\n",
    ],
    ids=[
        "no newline at the end",
        "CRLF",
        "byte order mark",
        "blank lines and spaces",
        "quoted",
        "header of sizes",
        "header of VoTT's export",
        "VoTT's export as VoTT writes it",
        "header in another order",
        "header in capitals",
        "semicolons, as Excel writes them in much of Europe",
        "tabs",
        "header and semicolons",
    ],
)
def test_spelling_of_the_file_does_not_matter(content: bytes, tmp_path: Path) -> None:
    (image,) = parsed(content, tmp_path).images
    assert (image.url, image.boxes) == (IMAGE, [Box(1, 2, 3, 4, "cat")])


@pytest.mark.parametrize(
    ("field", "label"),
    [("cat, black", "cat, black"), ('"cat, black"', "cat, black"), ("a,b,c", "a,b,c"), ("été", "été"), ("7", "7")],
)
@pytest.mark.parametrize(
    "start", [f"{IMAGE},1,2,3,4,", f"{IMAGE},", f"image,xmin,ymin,xmax,ymax,label\n{IMAGE},1,2,4,6,"]
)
def test_class_name_may_hold_commas(start: str, field: str, label: str, tmp_path: Path) -> None:
    assert parsed(f"{start}{field}\n".encode(), tmp_path).labels == [label]


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("https://store/a.jpg;1;2;3;4;cat, black", "cat, black"),
        ("https://store/a.jpg;1;2;3;4;cat; black", "cat; black"),
        ("https://store/a.jpg\t1\t2\t3\t4\tcat, black", "cat, black"),
        ("https://store/a.jpg;cat", "cat"),
        ("https://store/a.jpg\tcat black", "cat black"),
        ("https://store/a;b.jpg,cat; black", "cat; black"),
        ("https://store/a;b.jpg,1,2,3,4,cat; black", "cat; black"),
    ],
)
def test_separator_is_detected_by_the_fields_it_gives(line: str, label: str, tmp_path: Path) -> None:
    assert parsed(f"{line}\n".encode(), tmp_path).labels == [label]


def test_separator_is_detected_also_for_a_format_named_by_the_message(tmp_path: Path) -> None:
    content = b"https://store/a.jpg;10;20;40;60;cat\nhttps://store/b.jpg;;;;;\n"
    assert parsed(content, tmp_path, annotation_format="corners").images[0].boxes == [Box(10, 20, 30, 40, "cat")]


def test_image_without_objects_may_end_with_tabs(tmp_path: Path) -> None:
    annotations = parsed(b"https://store/a.jpg\t1\t2\t3\t4\tcat\nhttps://store/b.jpg\t\t\t\t\t\n", tmp_path)
    assert [len(image.boxes) for image in annotations.images] == [1, 0]
    assert annotations.findings == []


@pytest.mark.parametrize(
    "header",
    [
        "foto,xmin,ymin,xmax,ymax,label",
        "foto,links,oben,rechts,unten,art",
        "image,xmin,ymin,label",
        "image,bbox,label",
        "name,label",
    ],
)
def test_header_with_unknown_names_is_reported_as_a_header(header: str, tmp_path: Path) -> None:
    error = message(f"{header}\n{GOOD_LINE * 20}".encode(), tmp_path, annotations_url="https://store/file")
    assert (
        f"line 1: expected a header such as image,xmin,ymin,xmax,ymax,label, found '{header}': no column for " in error
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"<!DOCTYPE html><p>Sign in", "is a web page, not an annotation file. Open its link in a browser"),
        (b"\n<HTML>\n<p>Sign in", "is a web page, not an annotation file. Open its link in a browser"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Error>', "is XML with the root element 'Error', expected Pascal VOC"),
        ("<!doctype html>".encode("utf-16"), "is a web page, not an annotation file. Open its link in a browser"),
        (b"PK\x03\x04\x14\0", "is a damaged ZIP archive, perhaps only a part of one"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "is a workbook of Excel, not an annotation file. Save the table as CSV UTF-8",
        ),
        (b"PAR1\x15\0", "is a Parquet file, not an annotation file. Save the table as CSV UTF-8"),
        (b"\x28\1\0\0\0\0\0\0abcd\n\xa5\2", "is in the format of TFRecord, which is not read: export its annotations"),
        (b"MATLAB 5.0 MAT-file\0", "is in the format of MATLAB"),
        (b"\x89HDF\r\n\x1a\n", "is in the format of HDF5"),
        (b"\x93NUMPY\1\0", "is in the format of NumPy"),
        (b"{\\rtf1\\ansi}", "is a text with formats (RTF), not an annotation file"),
        (b"%PDF-1.7\n", "is a PDF, not an annotation file"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "is a JPEG image, not an annotation file"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG image, not an annotation file"),
    ],
)
@pytest.mark.parametrize("annotation_format", ["auto", "corners", "coco"])
def test_file_of_another_type_is_refused_by_its_type(
    annotation_format: str, content: bytes, expected: str, tmp_path: Path
) -> None:
    assert message(content, tmp_path, annotation_format=annotation_format).startswith(f"annotations.csv {expected}")


def test_percent_encoded_url_is_kept_as_it_is(tmp_path: Path) -> None:
    url = "https://store/a%20b%2C.jpg?sv=1&sig=a%2Bb%3D"
    assert parsed(f"{url},1,2,3,4,cat".encode(), tmp_path).images[0].url == url


def test_image_without_objects_is_kept_without_boxes(tmp_path: Path) -> None:
    annotations = parsed(f"{GOOD_LINE}https://store/empty.jpg,,,,,\n".encode(), tmp_path)
    assert annotations.images[1] == AnnotatedImage("https://store/empty.jpg")


def test_corners_are_read_only_if_the_message_names_the_format(tmp_path: Path) -> None:
    content = f"{IMAGE},10,20,40,60,cat\n".encode()
    assert parsed(content, tmp_path).images[0].boxes == [Box(10, 20, 40, 60, "cat")]
    assert parsed(content, tmp_path, annotation_format="corners").images[0].boxes == [Box(10, 20, 30, 40, "cat")]


@pytest.mark.parametrize(
    ("line", "annotation_format", "box"),
    [
        ("50,60,0,0", "auto", Box(50, 60, 0, 0, "cat")),
        ("50,60,0,30", "auto", Box(50, 60, 0, 30, "cat")),
        ("50,60,50,60", "corners", Box(50, 60, 0, 0, "cat")),
        ("10,20,40,20", "corners", Box(10, 20, 30, 0, "cat")),
    ],
    ids=["click", "line", "corners of a click", "corners of a line"],
)
def test_box_without_area_is_no_invalid_line(line: str, annotation_format: str, box: Box, tmp_path: Path) -> None:
    """The checks of the data leave it out and report it, like a box of half a pixel."""
    annotations = parsed(f"{IMAGE},{line},cat\n".encode(), tmp_path, annotation_format=annotation_format)
    assert annotations.images[0].boxes == [box]
    assert annotations.findings == []


def test_sizes_read_as_corners_are_refused_with_the_axis(tmp_path: Path) -> None:
    error = message(f"{IMAGE},100,20,40,60,cat\n".encode(), tmp_path, annotation_format="corners")
    assert "line 1: expected the second x to be at least the first, found 100 and 40" in error


@pytest.mark.parametrize("annotation_format", ["auto", "classes"])
def test_whole_images_have_a_class_and_no_boxes(annotation_format: str, tmp_path: Path) -> None:
    content = f"{IMAGE},cat\nhttps://store/b.jpg,dog\nhttps://store/unseen.jpg,\n".encode()
    annotations = parsed(content, tmp_path, annotation_format=annotation_format)
    assert [(image.label, image.boxes) for image in annotations.images] == [("cat", []), ("dog", []), (None, [])]
    assert annotations.labels == ["cat", "dog"]


def test_second_class_of_an_image_is_an_error(tmp_path: Path) -> None:
    assert "line 2: expected one class for each image, found 'dog' after 'cat'" in message(
        f"{IMAGE},cat\n{IMAGE},dog\n".encode(), tmp_path
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("https://store/a.jpg,1,2,3", "expected 6 fields (url,x,y,width,height,class), found 4"),
        ("<!DOCTYPE html>", "expected 6 fields (url,x,y,width,height,class), found 1: '<!DOCTYPE html>'"),
        ("a.jpg,1,2,3,4,cat", "expected url to start with http:// or https://, found 'a.jpg'"),
        ("ftp://store/a.jpg,1,2,3,4,cat", "expected url to start with http:// or https://, found 'ftp://store/a.jpg'"),
        ("https://store/a.jpg,left,2,3,4,cat", "expected x to be a number of pixels, found 'left'"),
        ("https://store/a.jpg,1,nan,3,4,cat", "expected y to be a number of pixels, found 'nan'"),
        ("https://store/a.jpg,1,2,inf,4,cat", "expected width to be a number of pixels, found 'inf'"),
        ("https://store/a.jpg,1,2,3,1_0,cat", "expected height to be a number of pixels, found '1_0'"),
        ("https://store/a.jpg,1,2,3,1e9,cat", "expected height to be a number of pixels, found '1e9'"),
        ("https://store/a.jpg,1,2,-0.5,4,cat", "expected width to be at least 0, found -0.5"),
        ("https://store/a.jpg,1,2,3,-4,cat", "expected height to be at least 0, found -4"),
        ("https://store/a.jpg,1,2,3,,cat", "expected height to be a number of pixels, found ''"),
        ("https://store/a.jpg,1,2,3,4,", "expected a class name, found nothing"),
        ("https://store/a.jpg,1,2,3,4,a\x07b", "expected a class name of up to 200 characters on one line"),
        (",1,2,3,4,cat", "expected the URL of an image, found nothing"),
        (f"https://store/a.jpg,1,2,3,4,{'x' * 70_000}", "expected a line of at most 65,536 bytes"),
        ("https://store/a.jpg,1,2,3,4,cat\rhttps://store/a.jpg,1,2,3,4,cat", "expected lines that end with LF or CRLF"),
    ],
)
def test_invalid_line_is_named_with_expected_and_found(line: str, expected: str, tmp_path: Path) -> None:
    error = message(f"{GOOD_LINE}\n{line}\n".encode(), tmp_path)
    assert error.startswith(f"annotations.csv line 3: {expected}")
    assert error.endswith("Correct it and send the message again.")


def test_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    assert "line 1: expected text in UTF-8, found the byte 0xe9" in message(
        b"https://store/a.jpg,1,2,3,4,\xe9t\xe9", tmp_path
    )


@pytest.mark.parametrize("content", [b"", b"\n\n", b"https://store/a.jpg,,,,,\n", b"image,xmin,ymin,xmax,ymax,label\n"])
def test_file_without_any_object_is_refused(content: bytes, tmp_path: Path) -> None:
    assert "annotations.csv has no annotated object" in message(content, tmp_path)


@pytest.mark.parametrize("header", ["image,xmin,ymin,label", GOOD_LINE.strip()])
def test_missing_column_is_reported_with_the_header(header: str, tmp_path: Path) -> None:
    error = message(f"{header}\n{GOOD_LINE * 20}".encode(), tmp_path, annotation_format="vott-csv")
    assert "annotations.csv line 1: expected a header such as image,xmin,ymin,xmax,ymax,label, found" in error
    assert "annotationFormat" in error


def test_up_to_a_tenth_of_invalid_lines_is_left_out_and_listed(tmp_path: Path) -> None:
    annotations = parsed((GOOD_LINE * 9 + f"{IMAGE},1,2,-1,4,cat\n").encode(), tmp_path)
    assert len(annotations.images[0].boxes) == 9
    assert annotations.findings == [
        Finding("line", "annotations.csv line 10", "expected width to be at least 0, found -1")
    ]


def test_more_invalid_lines_are_an_error_that_names_the_first_ones(tmp_path: Path) -> None:
    error = message((GOOD_LINE * 12 + f"{IMAGE},1,2,-1,4,cat\n" * 8).encode(), tmp_path)
    assert [f"annotations.csv line {number}: " in error for number in (12, 13, 17, 18)] == [False, True, True, False]
    assert "8 of 20 entries can't be used, at most 2 may be left out" in error


def test_very_many_invalid_lines_are_counted_not_listed(tmp_path: Path) -> None:
    annotations = parsed((GOOD_LINE * 1000 + f"{IMAGE},1,2,-1,4,cat\n" * 50).encode(), tmp_path)
    assert len(annotations.findings) == MAX_LISTED + 1
    assert annotations.findings[-1] == Finding("line", "", "30 more of this kind")


@pytest.mark.parametrize(
    "line",
    [
        "https://store/a.jpg?sv=2024&sig=SECRET,1,2\n",
        "https://store/a.jpg,https://store/a.jpg?sv=2024&sig=SECRET,2,3,4,cat\n",
    ],
)
def test_message_and_findings_show_no_query_of_a_url(line: str, tmp_path: Path) -> None:
    error = message(line.encode(), tmp_path)
    assert "https://store/a.jpg" in error
    assert "SECRET" not in error + str(parsed((GOOD_LINE * 20 + line).encode(), tmp_path).findings)


def test_class_that_is_a_url_is_shown_without_its_query(tmp_path: Path) -> None:
    error = message(f"{IMAGE},cat\n{IMAGE},https://store/b.jpg?sv=2024&sig=SECRET\n".encode(), tmp_path)
    assert "found 'https://store/b.jpg' after 'cat'" in error


def test_large_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        for _ in range(6):
            file.write(
                b"https://store/broken.jpg,1,2,3\n" + b"x" * (1 << 20) + b"\n" + f"{IMAGE},,,,,\n".encode() * 500
            )
        file.write(GOOD_LINE.encode())
    tracemalloc.start()
    read(path, "annotations.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20 < path.stat().st_size // 6
