"""URLs of images from names and paths in the annotation file, and where its credential may go."""

from pathlib import Path

import pytest

from vott_trainer.annotations import AnnotatedImage, read
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
        ("cam1:0001.jpg", "https://store/data/set/cam1%3A0001.jpg?sv=1&sig=S%2B"),
        ("photo[1].jpg", "https://store/data/set/photo%5B1%5D.jpg?sv=1&sig=S%2B"),
        ("clip.mp4#t=1.5", "https://store/data/set/clip.mp4%23t%3D1.5.jpg?sv=1&sig=S%2B"),
        ("a.jpg?sv=0&sig=OLD", "https://store/data/set/a.jpg?sv=1&sig=S%2B"),
        ("https://other/photo#1.jpg?x=1", "https://other/photo%231.jpg?x=1"),
        ("https://other/a.jpg?of=b.jpg", "https://other/a.jpg?of=b.jpg"),
        ("https://other/clip.mp4#t=1.5", "https://other/clip.mp4%23t%3D1.5.jpg"),
        ("https://other/clip.mp4?x=1#t=0", "https://other/clip.mp4%23t%3D0.jpg?x=1"),
    ],
)
def test_relative_path_begins_from_the_files_folder_with_its_sas(path: str, url: str) -> None:
    assert ImageUrls.of(FILE, None).resolve(path).urls[0] == url


def test_path_begins_from_the_folder_of_a_file_whose_url_has_encoded_slashes() -> None:
    urls = ImageUrls.of("https://store/data/set%2Fannotations.csv?sig=S", ".")
    assert urls.resolve("a.jpg").urls == ("https://store/data/set/a.jpg?sig=S",)


@pytest.mark.parametrize(
    ("images_url", "url"),
    [
        ("images", "https://store/data/set/images/a.jpg?sv=1&sig=S%2B"),
        ("../images/", "https://store/data/images/a.jpg?sv=1&sig=S%2B"),
        ("https://store/other", "https://store/other/a.jpg?sv=1&sig=S%2B"),
        ("https://elsewhere/images", "https://elsewhere/images/a.jpg"),
        ("http://store/other", "http://store/other/a.jpg"),
        ("https://store:8443/other", "https://store:8443/other/a.jpg"),
        ("my images/Küche", "https://store/data/set/my%20images/K%C3%BCche/a.jpg?sv=1&sig=S%2B"),
        ("my%20images", "https://store/data/set/my%20images/a.jpg?sv=1&sig=S%2B"),
    ],
)
def test_sas_of_the_annotations_stays_with_its_scheme_host_and_port(images_url: str, url: str) -> None:
    assert ImageUrls.of(FILE, images_url).resolve("a.jpg").urls == (url,)


OWN = "https://store/data/set/a.jpg?sv=1&sig=S%2B"


@pytest.mark.parametrize(
    ("annotations_url", "link", "others"),
    [
        (FILE, "https://store/data/set/a.jpg", [OWN]),
        (FILE, "https://store/data/set/a.jpg?sv=0&sig=OLD", [OWN]),
        (FILE, OWN, []),
        (FILE, "https://store/data/set/a.jpg?id=5", []),  # another query may name another image
        (FILE, "https://other/data/set/a.jpg?sv=0&sig=OLD", []),
        (FILE, "http://store/data/set/a.jpg?sv=0&sig=OLD", []),
        (FILE, "https://store:8443/data/set/a.jpg?sv=0&sig=OLD", []),
        (FILE, "https://store@other/data/set/a.jpg?sv=0&sig=OLD", []),
        ("https://store/a.csv", "https://store/data/set/a.jpg?sv=0&sig=OLD", ["https://store/data/set/a.jpg"]),
        ("https://store/a.csv", "https://store/data/set/a.jpg", []),
    ],
)
def test_link_on_the_server_of_the_annotations_is_read_as_they_are_if_it_fails(
    annotations_url: str, link: str, others: list[str]
) -> None:
    assert ImageUrls.of(annotations_url, None).resolve(link).urls == (link, *others)


def images(content: str, folder: Path, **options: str) -> list[AnnotatedImage]:
    """The images of an annotation file at FILE."""
    (folder / "file").write_text(content, encoding="utf-8")
    return read(folder / "file", "a.csv", annotations_url=FILE, **options).images  # type: ignore[arg-type]


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
def test_path_on_the_annotators_computer_is_found_by_name_below_images_url(path: str, tmp_path: Path) -> None:
    (image,) = images(f"{path},1,2,3,4,cat", tmp_path, images_url=".")
    assert image.url == "https://store/data/set/a.jpg?sv=1&sig=S%2B"


@pytest.mark.parametrize(
    "paths",
    [
        ("file:/x/a.jpg", "file:/x///evil.example/b.jpg"),
        ("C:\\x\\a.jpg", "C:\\x\\\\\\evil.example\\b.jpg"),
        ("https://old.example/a.jpg?sig=x", "https://old.example///evil.example/b.jpg?sig=x"),
        ("https://old.example/a.jpg?sig=x", "https://old.example/%2F%2Fevil.example/b.jpg?sig=x"),
    ],
)
def test_folder_without_a_name_leads_to_no_other_server(paths: tuple[str, str], tmp_path: Path) -> None:
    found = images("\n".join(f"{path},1,2,3,4,cat" for path in paths), tmp_path, images_url=".")
    urls = [url for image in found for url in (image.url, *image.others)]
    assert all(url.startswith("https://store/data/set/") for url in urls if "S%2B" in url)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "ftp://store/a.jpg",
        "data:image/png;base64,xyz",
        "http://[::1/a",
        "https:/store/a.jpg",
        "gs://bucket/a.jpg",
        '{"image": "a.jpg"}',
        "{url}",
        "<img src=a.jpg",
        "a\nb.jpg",
        "\ud800.jpg",
        "<p>",
        "x" * 5000,
    ],
)
def test_text_that_is_not_an_image_is_refused(path: str) -> None:
    with pytest.raises(FormatError, match="expected"):
        ImageUrls.of(FILE, None).resolve(path)


@pytest.mark.parametrize(
    "path", ["gs://bucket/a.jpg", "azure-blob://container/a.jpg", "azureml://datastores/x/paths/a.jpg"]
)
def test_object_of_another_store_is_refused_with_the_remedy(path: str) -> None:
    with pytest.raises(FormatError, match=r"found '.*': set the parameter imagesUrl to the URL of the folder"):
        ImageUrls.of(FILE, None).resolve(path)


def test_object_of_a_bucket_is_an_image() -> None:
    assert ImageUrls.of(FILE, None).resolve("s3://bucket/cats/a%20b.jpg").urls[0] == "s3://bucket/cats/a%20b.jpg"


def test_relative_path_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a.jpg,1,2,3,4,cat\n")
    assert (
        read(tmp_path / "file", "a.csv", annotations_url=FILE).images[0].url.startswith("https://store/data/set/a.jpg?")
    )
    with pytest.raises(BadAnnotationsError, match=r"expected url to start with http:// or https://, found 'a\.jpg'"):
        read(tmp_path / "file", "a.csv")


@pytest.mark.parametrize(
    "url",
    [
        "images",
        "../images/",
        "https://store/images",
        ".",
        "./",
        "/images",
        "my images",
        "a@b",
        "Küche",
        "./cam1:2",
        "a%20b",
    ],
)
def test_images_url_is_a_folder(url: str) -> None:
    assert validate(DataParameters, {"imagesUrl": url}) == DataParameters(imagesUrl=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://store/images?sig=SECRET", "https://me:SECRET@store/", "ftp://store/", "http://[", "C:\\x", "C:/x", "file:///x",
        "images\\x", "images?sig=SECRET", "images #2", "//evil.example/images", "https://store:99999/", " images", "x" * 2001,
    ],
)  # fmt: skip
def test_images_url_takes_no_credential_and_no_other_scheme(url: str) -> None:
    with pytest.raises(
        InvalidParametersError, match=r"parameter 'imagesUrl': (.* )?must be an http\(s\) URL or a path"
    ):
        validate(DataParameters, {"imagesUrl": url})
