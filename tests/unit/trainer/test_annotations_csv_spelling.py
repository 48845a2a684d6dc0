"""CSV as spreadsheets, scripts and people write it: separators, quotes, decimal commas, encodings, comments, further fields."""

import tracemalloc
from pathlib import Path

import pytest

from vott_trainer.annotations import AnnotatedImage, Annotations, Box, read
from vott_trainer.annotations.csv_lines import records
from vott_trainer.annotations.findings import Finding
from vott_trainer.errors import BadAnnotationsError

HEADER = "image,xmin,ymin,xmax,ymax,label"
CAT, DOG = Box(10, 20, 30, 40, "cat"), Box(10, 20, 30, 40, "dog, black")
A, B = AnnotatedImage("https://store/a.jpg", [CAT]), AnnotatedImage("https://store/b.jpg")

IGNORED = "the fields after the class are ignored"
READ = "each line has 7 fields, and the class is read from all after field 5, such as 'cat,blurred'. If that is wrong, write a first line that names"


def parsed(content: str | bytes, tmp_path: Path) -> Annotations:
    (tmp_path / "file").write_bytes(content.encode() if isinstance(content, str) else content)
    return read(tmp_path / "file", "a.csv", annotations_url="https://store/a.csv")


def refusal(content: str | bytes, tmp_path: Path) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(content, tmp_path)
    return str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\r\na.jpg;10;20;30;40;cat\r\nb.jpg;;;;;\r\n",
        "sep=,\na.jpg,10,20,30,40,cat\nb.jpg,,,,,\n",
        '\ufeff"sep=\t"\na.jpg\t10\t20\t30\t40\tcat\nb.jpg\t\t\t\t\t\n',
        f"SEP=,,,,,\n{HEADER}\na.jpg,10,20,40,60,cat\nb.jpg,,,,,\n",
        "sep=!\na.jpg!10!20!30!40!cat\nb.jpg!!!!!\n",
        "a.jpg|10|20|30|40|cat\nb.jpg|||||\n",
        "a.jpg,10,20,30,40,cat,,,\nb.jpg,,,,,,,,\n",
        f"{HEADER},,\na.jpg,10,20,40,60,cat,,\nb.jpg,,,,,,,\n",
        f"{HEADER},comment\na.jpg,10,20,40,60,cat\nb.jpg,,,,\n",
        "a.jpg,10,20,30,40,cat\nb.jpg\n",
        '""\na.jpg,10,20,30,40,cat\n,,,,,\n\0\nb.jpg\n',
        "a.jpg,10,20,30,40,cat\nb.jpg,0,0,0,0,\n",
        'a.jpg, "10", "20", 30, 40, "cat"\nb.jpg, , , , , \n',
        '"a.jpg" , 10 , 20 , 30 , 40 , "cat"\n"b.jpg",,,,,\n',
        '"a.jpg,10,20,30,40,cat"\n"b.jpg,,,,,"\n',
        f'"{HEADER}"\n"a.jpg,10,20,40,60,""cat"""\n"b.jpg,,,,,"\n',
        f"# made by a tool, v1.2\n\n{HEADER}\na.jpg,10,20,40,60,cat\n# the end, 2 images\nb.jpg,,,,,\n",
        f"{HEADER}\na.jpg,10,20,40,60,cat\n{HEADER}\nb.jpg,,,,,\n",
        f'{HEADER},comment\na.jpg,10,20,40,60,cat,"two\nlines, ""quoted"""\nb.jpg,,,,,,\n',
        '"image",xmin,ymin,xmax,ymax,label,"com\r\nment"\r\na.jpg,10,20,40,60,cat,"a\r\nb"\r\nb.jpg,,,,,,\r\n',
        "a.jpg,10,20,30,40,cat\rb.jpg,,,,,\r",
        "a.jpg;10,0;20,00;30,0;40;cat\nb.jpg;;;;;\n",
        "a.jpg\t10,0\t20\t30\t40\tcat\nb.jpg\t\t\t\t\t\n",
        "a.jpg;10,000;20,0;30,000;40;cat\nb.jpg;;;;;\n",
        'a.jpg,"10,0","20,0",30,40,cat\nb.jpg,,,,,\n',
        "sep=;\na.jpg,10,20,30,40,cat\nb.jpg,,,,,\n",
        "a.jpg,10,20,30,40,cat\nb.jpg,NaN,NaN,NaN,NaN,NaN\n",
    ],
)  # fmt: skip
def test_same_images_in_every_spelling(content: str, tmp_path: Path) -> None:
    annotations = parsed(content, tmp_path)
    assert annotations.images == [A, B]
    assert annotations.findings == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_of_unicode_are_read(encoding: str, mark: str, end: str, tmp_path: Path) -> None:
    content = f"{mark}image;xmin;ymin;xmax;ymax;label{end}ä.jpg;10;20;40;60;猫{end}".encode(encoding)
    (image,) = parsed(content, tmp_path).images
    assert (image.url, image.boxes) == ("https://store/%C3%A4.jpg", [Box(10, 20, 30, 40, "猫")])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "content",
    [
        '{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "cat"}], '
        '"annotations": [{"image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40]}]}',
        '<?xml version="1.0" encoding="utf-16"?>\n<annotation><filename>a.jpg</filename><object><name>cat</name>'
        "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object></annotation>",
    ],
    ids=["JSON", "XML"],
)
def test_other_formats_may_be_utf16_too(content: str, tmp_path: Path) -> None:
    assert parsed(content.encode("utf-16"), tmp_path).images == [A]


def test_damaged_utf16_is_refused(tmp_path: Path) -> None:
    content = "a.jpg,10,20,30,40,cat\n".encode("utf-16") + b"\x00\xd8a\x00"
    assert refusal(content, tmp_path).startswith("a.csv is text in UTF-16, but damaged: save it as CSV UTF-8")


def test_utf16_is_read_in_bounded_memory(tmp_path: Path) -> None:
    content = ("https://store/a.jpg,,,,,\n" * 200_000 + "https://store/a.jpg,10,20,30,40,cat\n").encode("utf-16")
    (tmp_path / "file").write_bytes(content)
    tracemalloc.start()
    read(tmp_path / "file", "a.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(content)


@pytest.mark.parametrize("text", ["Löwe", "naïve café"])
def test_text_of_windows_is_refused_with_the_character(text: str, tmp_path: Path) -> None:
    error = refusal(f"a.jpg,10,20,30,40,{text}\n".encode("cp1252"), tmp_path)
    assert "line 1: expected text in UTF-8, found the byte 0x" in error
    assert "in Windows-1252: save the file as CSV UTF-8" in error


def test_header_that_can_not_be_decoded_is_not_passed_over(tmp_path: Path) -> None:
    lines = "a.jpg;10;20;40;60;cat;9\n" * 20
    error = refusal(f"image;xmin;ymin;xmax;ymax;label;Größe\n{lines}".encode("cp1252"), tmp_path)
    assert error.startswith("a.csv line 1: expected text in UTF-8, found the byte 0xf6, which is 'ö' in Windows-1252")


@pytest.mark.parametrize("number", ["1,500", "12,345", "-1,000"])
def test_comma_that_may_separate_thousands_is_refused(number: str, tmp_path: Path) -> None:
    error = refusal(f"a.jpg;{number};20;30;40;cat\n", tmp_path)
    assert f"line 1: expected x to be a number of pixels, found '{number}'" in error


@pytest.mark.parametrize(
    ("numbers", "corner"),
    [
        ("1.248,5;20;1.300;40", (1248.5, 20, 1300, 40)),
        ("1\u202f248,5;20;1\u202f300;40", (1248.5, 20, 1300, 40)),
        ("1 248;20;1 300;40", (1248, 20, 1300, 40)),
        ("1'248.5;20;1'300;40", (1248.5, 20, 1300, 40)),
        ("1,25E+01;20;300;40", (12.5, 20, 300, 40)),
        ("1.248;20,5;300.5;40", (1.248, 20.5, 300.5, 40)),
        ("1.248;20.5;300;400", (1.248, 20.5, 300, 400)),
        ("12.248;20.500;300.000;400.125", (12.248, 20.5, 300, 400.125)),
    ],
    ids=["German", "French", "blanks", "Swiss", "exponent", "both", "decimal point", "three decimals"],
)
def test_numbers_of_other_languages_are_read(numbers: str, corner: tuple[float, ...], tmp_path: Path) -> None:
    ((box,),) = (
        image.boxes for image in parsed(f"image;xmin;ymin;xmax;ymax;label\na.jpg;{numbers};cat\n", tmp_path).images
    )
    assert (box.x, box.y, box.x + box.width, box.y + box.height) == pytest.approx(corner)


def test_point_that_may_separate_thousands_is_refused(tmp_path: Path) -> None:
    lines = "a.jpg;850;120;1.248;460;cat\nb.jpg;1.024;120;1.248;460;cat\n"
    error = refusal(f"image;xmin;ymin;xmax;ymax;label\n{lines}", tmp_path)
    assert (
        "a.csv has numbers such as '1.248', whose point may separate thousands or decimals: save it without separators"
        in error
    )


@pytest.mark.parametrize("other", ["1,5", "0,500", "1234,567"])
def test_comma_is_a_decimal_comma_if_another_number_tells(other: str, tmp_path: Path) -> None:
    annotations = parsed(f"a.jpg;1,500;{other};30;40;cat\n", tmp_path)
    assert annotations.images[0].boxes == [Box(1.5, float(other.replace(",", ".")), 30, 40, "cat")]


@pytest.mark.parametrize(
    ("content", "labels", "note"),
    [
        ("a.jpg,10,20,30,40,cat,0.9\nb.jpg,10,20,30,40,dog,0.8\nc.jpg,,,,,,\n", ["cat", "dog"], f"{IGNORED}, as they are no names: 'cat,0.9'"),
        ("a.jpg,10,20,30,40,cat,train,7\nb.jpg,10,20,30,40,dog,val,8\n", ["cat", "dog"], IGNORED),
        (f"{HEADER}\na.jpg,10,20,40,60,cat,0.9\nb.jpg,10,20,40,60,dog,1\n", ["cat", "dog"], IGNORED),
        ("a.jpg,cat,train\nb.jpg,dog,test\n", ["cat", "dog"], IGNORED),
        ("a.jpg,10,20,30,40,cat,blurred\nb.jpg,10,20,30,40,dog,sharp\n", ["cat,blurred", "dog,sharp"], READ),
        ("a.jpg,10,20,30,40,cat, black\nb.jpg,10,20,30,40,dog\n", ["cat, black", "dog"], None),
        ("a.jpg,10,20,30,40,cat,7\n", ["cat,7"], None),
    ],
)  # fmt: skip
def test_fields_after_the_class_are_told(content: str, labels: list[str], note: str | None, tmp_path: Path) -> None:
    annotations = parsed(content, tmp_path)
    assert annotations.labels == labels
    assert [(finding.kind, finding.where) for finding in annotations.findings] == ([("file", "a.csv")] if note else [])
    assert all(finding.what.startswith(note or "") for finding in annotations.findings)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("b.jpg,10", "expected 7 fields (image,xmin,ymin,xmax,ymax,label,comment), found 2"),
        ("b.jpg,10,20,40,60", "expected 7 fields (image,xmin,ymin,xmax,ymax,label,comment), found 5"),
        ("b.jpg,10,20,40,60,cat,x,y", "expected 7 fields (image,xmin,ymin,xmax,ymax,label,comment), found 8"),
        ("the end", "expected 7 fields (image,xmin,ymin,xmax,ymax,label,comment), found 1"),
    ],
)
def test_missing_and_surplus_values_are_an_invalid_line(line: str, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(f"{HEADER},comment\na.jpg,10,20,40,60,cat,x\n{line}\n", tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        "a.jpg,1,5,2,5,30,0,40,0,cat\n",
        f"{HEADER}\n" + "a.jpg,1,5,2,5,30,0,40,0,cat\n",
        f"{HEADER}\n" + "7,a.jpg,1,2,3,4,cat\n",
    ],
)
def test_numbers_are_never_the_start_of_a_class(lines: str, tmp_path: Path) -> None:
    """Decimal commas without quotes and rows with a name of their own shift the columns."""
    error = refusal(lines + lines.splitlines()[-1] + "\n", tmp_path)
    assert "in another order" in error or "and a first line that names each column" in error


def test_title_before_the_header_is_ignored_with_a_note(tmp_path: Path) -> None:
    annotations = parsed("Our labels;;;;;\n\nimage;xmin;ymin;xmax;ymax;label\na.jpg;10;20;40;60;cat\n", tmp_path)
    assert annotations.images == [A]
    assert annotations.findings == [
        Finding("file", "a.csv", "the lines before line 3, which names the columns, are ignored")
    ]


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\na.jpg,10,20,40,60,cat\nlabel,x,y,w,h,image\ncat,10,20,30,40,b.jpg\n",
        f"a.jpg,10,20,30,40,cat\nb.jpg,,,,,\n{HEADER}\nb.jpg,10,20,40,60,cat\n",
        "a.jpg,cat\nb.jpg,dog\nfilename,label\nc.jpg,dog\n",
    ],
)
def test_files_with_different_columns_are_not_joined(content: str, tmp_path: Path) -> None:
    error = refusal(content + "d.jpg,10,20,30,40,cat\n" * 30, tmp_path)
    assert "line 3: names other columns than the lines before it have: join only files with the same columns" in error


def test_image_whose_name_begins_like_a_comment_is_an_image(tmp_path: Path) -> None:
    images = parsed("#1.jpg,10,20,30,40,cat\n#2.jpg,,,,,\n", tmp_path).images
    assert [len(image.boxes) for image in images] == [1, 0]


def test_places_are_lines_of_the_file(tmp_path: Path) -> None:
    lines = [
        "sep=,",
        "# a comment",
        f"{HEADER},comment",
        'a.jpg,10,20,40,60,cat,"1\n2\n3"',
        *["a.jpg,10,20,40,60,cat,"] * 9,
    ]
    findings = parsed("\n".join([*lines, "b.jpg,left,20,40,60,cat,"]), tmp_path).findings
    assert findings == [Finding("line", "a.csv line 16", "expected xmin to be a number of pixels, found 'left'")]


@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        ([b'a,"b\n', b'c",d\n', b"e\n"], [1, 3]),
        ([b'a,"b\n', b"c,d\n", b'e,"f"\n'], [1, 2, 3]),
        ([b'5" pipe\n', b"c,d\n"], [1, 2]),
        ([b'a,"b\n', *[b"c\n"] * 30, b'd"\n'], [*range(1, 33)]),
        ([b'a,"b'], [1]),
    ],
    ids=[
        "quoted line end",
        "stray quote at the start",
        "stray quote",
        "quote that ends much later",
        "quote without end",
    ],
)
def test_quote_without_its_end_swallows_no_line(lines: list[bytes], numbers: list[int]) -> None:
    found = list(records(lines, ","))
    assert [number for number, _ in found] == numbers
    assert b"".join(record for _, record in found) == b"".join(lines)
