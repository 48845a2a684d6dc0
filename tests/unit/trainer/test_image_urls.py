"""URLs of images from names and paths in the annotation file, and where its credential may go."""

from pathlib import Path

import pytest

from vott_trainer.annotations import read
from vott_trainer.annotations.image_urls import ImageUrls
from vott_trainer.annotations.model import FormatError
from vott_trainer.errors import BadAnnotationsError, InvalidParametersError
from vott_trainer.parameters import validate
from vott_trainer.plugin_api import DataParameters

FILE = "https://store/data/set/annotations.csv?sv=1&sig=S%2B"


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("https://other/a%20b.jpg?x=1", "https://other/a%20b.jpg?x=1"),
        ("a.jpg", "https://store/data/set/a.jpg?sv=1&sig=S%2B"),
        ("images\\a.jpg", "https://store/data/set/images/a.jpg?sv=1&sig=S%2B"),
        ("../images/a.jpg", "https://store/data/images/a.jpg?sv=1&sig=S%2B"),
        ("a b#1?.jpg", "https://store/data/set/a%20b%231%3F.jpg?sv=1&sig=S%2B"),
        ("a%20b.jpg", "https://store/data/set/a%20b.jpg?sv=1&sig=S%2B"),
        ("100%.jpg", "https://store/data/set/100%25.jpg?sv=1&sig=S%2B"),
        ("été.jpg", "https://store/data/set/%C3%A9t%C3%A9.jpg?sv=1&sig=S%2B"),
    ],
)
def test_relative_path_begins_from_the_files_folder_with_its_sas(path: str, url: str) -> None:
    assert ImageUrls.of(FILE, None).resolve(path) == url


@pytest.mark.parametrize(
    ("images_url", "url"),
    [
        ("images", "https://store/data/set/images/a.jpg?sv=1&sig=S%2B"),
        ("../images/", "https://store/data/images/a.jpg?sv=1&sig=S%2B"),
        ("https://store/other", "https://store/other/a.jpg?sv=1&sig=S%2B"),
        ("https://elsewhere/images", "https://elsewhere/images/a.jpg"),
        ("http://store/other", "http://store/other/a.jpg"),
        ("https://store:8443/other", "https://store:8443/other/a.jpg"),
    ],
)
def test_sas_of_the_annotations_stays_with_its_scheme_host_and_port(images_url: str, url: str) -> None:
    assert ImageUrls.of(FILE, images_url).resolve("a.jpg") == url


LOCAL = [
    "file:/home/me/a.jpg",
    "file:C:/Users/me/a.jpg",
    "C:\\Users\\me\\a.jpg",
    "/home/me/a.jpg",
    "//evil.example/a.jpg",
]


@pytest.mark.parametrize("path", LOCAL)
def test_path_on_the_annotators_computer_is_refused_with_the_remedy(path: str) -> None:
    with pytest.raises(FormatError, match=r"is a path on the annotator's computer: upload the images, .* imagesUrl"):
        ImageUrls.of(FILE, None).resolve(path)


@pytest.mark.parametrize("path", LOCAL)
def test_path_on_the_annotators_computer_is_found_by_name_below_images_url(path: str) -> None:
    assert ImageUrls.of(FILE, ".").resolve(path) == "https://store/data/set/a.jpg?sv=1&sig=S%2B"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "ftp://store/a.jpg",
        "data:image/png;base64,xyz",
        "http://[::1/a",
        "a\nb.jpg",
        "\ud800.jpg",
        "<p>",
        "x" * 5000,
    ],
)
def test_text_that_is_not_an_image_is_refused(path: str) -> None:
    with pytest.raises(FormatError, match="expected"):
        ImageUrls.of(FILE, None).resolve(path)


def test_relative_path_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a.jpg,1,2,3,4,cat\n")
    assert (
        read(tmp_path / "file", "a.csv", annotations_url=FILE).images[0].url.startswith("https://store/data/set/a.jpg?")
    )
    with pytest.raises(BadAnnotationsError, match=r"expected url to start with http:// or https://, found 'a\.jpg'"):
        read(tmp_path / "file", "a.csv")


@pytest.mark.parametrize("url", ["images", "../images/", "https://store/images", ".", "/images"])
def test_images_url_is_a_folder(url: str) -> None:
    assert validate(DataParameters, {"imagesUrl": url}) == DataParameters(imagesUrl=url)


@pytest.mark.parametrize(
    "url", ["https://store/images?sig=SECRET", "https://me:SECRET@store/", "ftp://store/", "http://[", " ", "C:\\x"]
)
def test_images_url_takes_no_credential_and_no_other_scheme(url: str) -> None:
    with pytest.raises(
        InvalidParametersError, match=r"parameter 'imagesUrl': (.* )?must be an http\(s\) URL or a path"
    ):
        validate(DataParameters, {"imagesUrl": url})
