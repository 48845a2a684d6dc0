"""The seed's CSV dialect: what it may hold, and what is said of what it may not."""

from pathlib import Path

import pytest

from vott_trainer.annotations import Annotations, Box, read
from vott_trainer.errors import BadAnnotationsError

IMAGE = "https://store/a.jpg"


def parsed(content: bytes, tmp_path: Path) -> Annotations:
    path = tmp_path / "file"
    path.write_bytes(content)
    return read(path, "annotations.csv")


def message(content: bytes, tmp_path: Path) -> str:
    with pytest.raises(BadAnnotationsError) as error:
        parsed(content, tmp_path)
    return str(error.value)


def test_boxes_of_one_image_are_gathered_and_labels_sorted(tmp_path: Path) -> None:
    found = parsed(f"{IMAGE},1,2,3,4,dog\nhttps://store/b.jpg,1,2,3,4,cat\n{IMAGE},5,6,7.5,8,cat\n".encode(), tmp_path)
    assert [image.url for image in found.images] == [IMAGE, "https://store/b.jpg"]
    assert found.images[0].boxes == [Box(1, 2, 3, 4, "dog"), Box(5, 6, 7.5, 8, "cat")]
    assert found.labels == ["cat", "dog"]


@pytest.mark.parametrize(
    "content",
    [
        b"https://store/a.jpg,1,2,3,4,cat",
        b"https://store/a.jpg,1,2,3,4,cat\r\n",
        b"\xef\xbb\xbfhttps://store/a.jpg,1,2,3,4,cat\n",
        b"\n\r\n  \nhttps://store/a.jpg, 1, 2, 3, 4, cat \n\n",
        b'"https://store/a.jpg","1","2","3","4","cat"\n',
    ],
    ids=["no newline at the end", "CRLF", "byte order mark", "blank lines and spaces", "quoted"],
)
def test_spelling_of_the_file_does_not_matter(content: bytes, tmp_path: Path) -> None:
    (image,) = parsed(content, tmp_path).images
    assert (image.url, image.boxes) == (IMAGE, [Box(1, 2, 3, 4, "cat")])


@pytest.mark.parametrize(
    ("field", "label"),
    [("cat, black", "cat, black"), ('"cat, black"', "cat, black"), ("a,b,c", "a,b,c"), ("été", "été")],
)
def test_class_name_may_hold_commas(field: str, label: str, tmp_path: Path) -> None:
    assert parsed(f"{IMAGE},1,2,3,4,{field}\n".encode(), tmp_path).labels == [label]


def test_percent_encoded_url_is_kept_as_it_is(tmp_path: Path) -> None:
    url = "https://store/a%20b%2C.jpg?sv=1&sig=a%2Bb%3D"
    assert parsed(f"{url},1,2,3,4,cat".encode(), tmp_path).images[0].url == url


def test_image_without_objects_is_kept_without_boxes(tmp_path: Path) -> None:
    found = parsed(f"{IMAGE},1,2,3,4,cat\nhttps://store/empty.jpg,,,,,\n".encode(), tmp_path)
    assert found.images[1].boxes == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("https://store/a.jpg,1,2,3", "expected 6 fields (url,x,y,width,height,class), found 4"),
        ("<!DOCTYPE html>", "expected 6 fields (url,x,y,width,height,class), found 1: '<!DOCTYPE html>'"),
        ("a.jpg,1,2,3,4,cat", "expected url to begin with http:// or https://, found 'a.jpg'"),
        ("ftp://store/a.jpg,1,2,3,4,cat", "expected url to begin with http:// or https://, found 'ftp://store/a.jpg'"),
        ("https://store/a.jpg,left,2,3,4,cat", "expected x to be a number of pixels, found 'left'"),
        ("https://store/a.jpg,1,nan,3,4,cat", "expected y to be a number of pixels, found 'nan'"),
        ("https://store/a.jpg,1,2,inf,4,cat", "expected width to be a number of pixels, found 'inf'"),
        ("https://store/a.jpg,1,2,3,1_0,cat", "expected height to be a number of pixels, found '1_0'"),
        ("https://store/a.jpg,1,2,0,4,cat", "expected width to be greater than 0, found 0"),
        ("https://store/a.jpg,1,2,3,-4,cat", "expected height to be greater than 0, found -4"),
        ("https://store/a.jpg,1,2,3,,cat", "expected height to be a number of pixels, found ''"),
        ("https://store/a.jpg,1,2,3,4,", "expected a class name after the fifth comma, found nothing"),
    ],
)
def test_line_that_does_not_parse_is_named_with_what_was_expected_and_found(
    line: str, words: str, tmp_path: Path
) -> None:
    said = message(f"{IMAGE},1,2,3,4,cat\n\n{line}\n".encode(), tmp_path)
    assert said.startswith(f"annotations.csv line 3: {words}")
    assert said.endswith("Correct the line and send the message again.")


def test_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    assert "line 1: expected text in UTF-8, found the byte 0xe9" in message(
        b"https://store/a.jpg,1,2,3,4,\xe9t\xe9", tmp_path
    )


@pytest.mark.parametrize("content", [b"", b"\n\n", b"https://store/a.jpg,,,,,\n"])
def test_file_without_any_object_is_refused(content: bytes, tmp_path: Path) -> None:
    assert "annotations.csv holds no annotated object" in message(content, tmp_path)


def test_message_shows_no_query_of_a_url(tmp_path: Path) -> None:
    said = message(b"https://store/a.jpg?sv=2024&sig=SECRET,1,2\n", tmp_path)
    assert "SECRET" not in said
    assert "https://store/a.jpg" in said
