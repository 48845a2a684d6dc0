"""Images are found under the names that they have in the store, whatever the annotation file makes of these names."""

import json
import re
import unicodedata
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from tests.support.annotated_images import image_with_shapes
from tests.support.http_server import Answer, HttpServer, Request
from vott_trainer.annotations import Annotations, name_readings, read
from vott_trainer.annotations.image_places import MAX_URLS
from vott_trainer.data.image_download import Downloaded, download_images
from vott_trainer.errors import AnnotationsUnreachableError, BadAnnotationsError, NoUsableImagesError
from vott_trainer.file_download import download_file
from vott_trainer.http.retry import RetryPolicy

SAS, OLD_SAS = "sv=1&sig=GOOD", "sv=1&sig=STALE"


class Store(HttpServer):
    """A store that decodes the path of a request once and refuses a stale SAS, as Azure Storage does."""

    away: Collection[str] = ()

    def add(self, *names: str) -> None:
        """Store a different image under each name, literally."""
        for name in names:
            self.files[f"/data/{name}"] = image_with_shapes(len(self.files))[0]

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        if "STALE" in request.query:
            return Answer(403)
        if unquote(request.path) in self.away:
            return Answer(503)
        content = self.files.get(unquote(request.path))
        return Answer(404) if content is None else Answer(200, content)


@pytest.fixture
def store() -> object:
    with Store() as running:
        yield running


def annotations(content: str, store: Store, folder: Path, **options: str) -> Annotations:
    (folder / "file").write_text(content, encoding="utf-8")
    return read(folder / "file", "a", annotations_url=f"{store.url}/data/a?{SAS}", **options)  # type: ignore[arg-type]


def fetch(found: Annotations, folder: Path) -> Downloaded:
    others = {image.url: image.others for image in found.images}
    policy = RetryPolicy(attempts=1, sleep=lambda _: None)
    return download_images(list(others), folder / "images", others=others, policy=policy)


def vott_csv(names: list[str]) -> str:
    lines = [f'"{name}",20,30,80,80,"tool"' for name in names]
    return "\n".join(['"image","xmin","ymin","xmax","ymax","label"', *lines])


def vott_web(names: list[str]) -> str:
    return "\n".join(f'"{name}",20,30,60,50,tool' for name in names)


def classes(names: list[str]) -> str:
    return "\n".join(f'"{name}",tool' for name in names)


def vott_json(names: list[str]) -> str:
    box = {"left": 20, "top": 30, "width": 60, "height": 50}
    return json.dumps(
        {
            "assets": {
                str(key): {
                    "asset": {"id": str(key), "name": re.split(r"[\\/]", name)[-1], "path": name, "state": 2, "type": 1},
                    "regions": [{"type": "RECTANGLE", "tags": ["tool"], "boundingBox": box}],
                }
                for key, name in enumerate(names)
            }
        }
    )  # fmt: skip


def coco(names: list[str]) -> str:
    images = [{"id": key, "file_name": name} for key, name in enumerate(names)]
    boxes = [{"id": key, "image_id": key, "category_id": 1, "bbox": [20, 30, 60, 50]} for key in range(len(names))]
    return json.dumps({"images": images, "categories": [{"id": 1, "name": "tool"}], "annotations": boxes})


DIALECTS: list[Callable[[list[str]], str]] = [vott_csv, vott_web, classes, vott_json, coco]

NAMES = [
    "plain.jpg", "my photo 1.jpg", "photo[1].jpg", "[1] photo.jpg", "IMG_{3}.jpg", "{a}{b}.jpeg", "a'b.jpg", "a&b=c.jpg", "x+y.jpg",
    "scan (2).jpg", "cam1:0001.jpg", "front-10:22:33.jpg", "left:3.jpg", "2024-01-01T10:00:00.png", "a:b/c:d.jpg", "Küche #2.jpg",
    "50% off.jpg", "100%.jpg", "50%25 off.jpg", "what?.jpg", "a;b.jpg", "a@b!c$d~e^f`.jpg", "日本.jpg", "photo #1? [2].JPG",
    "clip.mp4#t=1.5.jpg", "sub folder/a.jpg",
]  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_names_are_found_as_they_lie_in_the_store(
    dialect: Callable[[list[str]], str], store: Store, tmp_path: Path
) -> None:
    store.add(*NAMES)
    found = annotations(dialect(NAMES), store, tmp_path)
    downloaded = fetch(found, tmp_path)
    assert [downloaded.files[image.url].read_bytes() for image in found.images] == list(store.files.values())
    assert len(store.requests) == len(NAMES)


def encoded_by_vott(name: str) -> str:
    """JavaScript's encodeURI, then # and ?."""
    return quote(name, safe="~!@$&*()=:/,;+'-._")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_copies_that_vott_has_written_under_encoded_names_are_found(
    dialect: Callable[[list[str]], str], store: Store, tmp_path: Path
) -> None:
    names = [encoded_by_vott(name) for name in NAMES if "/" not in name]
    store.add(*names)
    found = annotations(dialect(names), store, tmp_path)
    downloaded = fetch(found, tmp_path)
    assert [downloaded.files[image.url].read_bytes() for image in found.images] == list(store.files.values())


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("my%20photo.jpg", "my photo.jpg"),
        ("K%C3%BCche%20%232.jpg", "Küche #2.jpg"),
        ("K%c3%bcche.jpg", "Küche.jpg"),
        ("cam1%2F001.jpg", "cam1/001.jpg"),
        ("cam1%2F001.jpg", "cam1%2F001.jpg"),
        ("Küche.jpg", unicodedata.normalize("NFD", "Küche.jpg")),
        (unicodedata.normalize("NFD", "Küche é.jpg"), "Küche é.jpg"),
        ("K%C3%BCche.jpg", unicodedata.normalize("NFD", "Küche.jpg")),
        ("Ku%CC%88che%20%232.jpg", "Küche #2.jpg"),
        ("%FC.jpg", "%FC.jpg"),
        ("my%2520photo.jpg", "my photo.jpg"),
        ("my%2520photo.jpg", "my%20photo.jpg"),
        ("my%2520photo.jpg", "my%2520photo.jpg"),
        ("K%25C3%25BCche%2520%25232.jpg", "Küche #2.jpg"),
        ("clip.mp4#t=1.5", "clip.mp4#t=1.5.jpg"),
        ("clip.mp4#t=0", "clip.mp4#t=0"),
        ("my%20clip.mp4#t=1.5.jpg", "my%20clip.mp4#t=1.5.jpg"),
        ("clip.mp4?sv=1&sig=x#t=1.5.jpg", "clip.mp4?sv=1&sig=x#t=1.5.jpg"),
        ("a.jpg?sv=1&sig=STALE", "a.jpg"),
        ("BASE/data/a%20b.jpg", "a b.jpg"),
        ("BASE/data/a%20b.jpg", "a%20b.jpg"),
        ("BASE/data/a b [1].jpg", "a b [1].jpg"),
        ("BASE/data/photo#1.jpg", "photo#1.jpg"),
        (f"BASE/data/photo #1.jpg?{SAS}", "photo #1.jpg"),
        ("BASE/data/a.jpg#top", "a.jpg"),
        ("BASE/data/a.jpg#b.jpg", "a.jpg#b.jpg"),
        ("BASE/data/what?.jpg", "what?.jpg"),
        (f"BASE/data/what? me.jpg?{SAS}", "what? me.jpg"),
        ("BASE/data/clip.mp4#t=1.5.jpg", "clip.mp4#t=1.5.jpg"),
        ("BASE/data/clip.mp4#t=1.5", "clip.mp4#t=1.5.jpg"),
        (f"BASE/data/clip.mp4?{SAS}#t=1.5", "clip.mp4#t=1.5.jpg"),
        ("BASE/data/my%2520photo.jpg", "my photo.jpg"),
        (f"BASE/data/a b.jpg?{OLD_SAS}", "a b.jpg"),
        ("BASE/data/K%C3%BCche.jpg", unicodedata.normalize("NFD", "Küche.jpg")),
    ],
)
def test_other_readings_of_a_name_are_tried(name: str, stored: str, store: Store, tmp_path: Path) -> None:
    store.add(stored, "clip.mp4", "photo")
    found = annotations(vott_web([name.replace("BASE", store.url)]), store, tmp_path)
    downloaded = fetch(found, tmp_path)
    assert [path.read_bytes() for path in downloaded.files.values()] == [store.files[f"/data/{stored}"]]
    assert len(store.requests) <= 4


def test_name_that_is_nowhere_is_reported_with_what_was_tried_and_without_its_credential(
    store: Store, tmp_path: Path
) -> None:
    store.add("a.jpg", "b.jpg")
    found = annotations(vott_web(["a.jpg", "b.jpg", "my%20clip.mp4?sig=SECRET#t=1.jpg"]), store, tmp_path)
    (finding,) = fetch(found, tmp_path).dropped
    assert finding.what == "HTTP 404 Not Found, also under other readings of its name"
    assert finding.where == f"{store.url}/data/my%20clip.mp4"


def test_file_that_is_no_image_is_named_for_what_it_is_also_if_its_name_has_several_readings(
    store: Store, tmp_path: Path
) -> None:
    store.add("a.jpg", "b.jpg")
    store.files["/data/my notes.jpg"] = b"text"
    found = annotations(vott_web(["a.jpg", "b.jpg", "my%20notes.jpg"]), store, tmp_path)
    assert [finding.what for finding in fetch(found, tmp_path).dropped] == [
        "text, not an image: upload the image itself"
    ]


def test_store_that_does_not_answer_for_one_reading_may_have_the_image(store: Store, tmp_path: Path) -> None:
    store.add("a%20b.jpg", "c.jpg")
    found = annotations(vott_web(["a%20b.jpg", "c.jpg", "d%20e.jpg"]), store, tmp_path)
    store.away = {"/data/a b.jpg", "/data/d e.jpg"}
    downloaded = fetch(found, tmp_path)
    assert (len(downloaded.files), downloaded.temporary) == (2, 1)


def test_annotation_file_is_found_under_its_literal_name(store: Store, tmp_path: Path) -> None:
    store.files["/data/my%20export.csv"] = b"text"
    url = f"{store.url}/data/my%20export.csv?{SAS}"
    others = name_readings.of_url(url)[1:]
    download_file(url, tmp_path / "file", "The annotations", 100, AnnotationsUnreachableError, others=others)
    assert (tmp_path / "file").read_bytes() == b"text"


def test_an_images_urls_are_few() -> None:
    name = "%".join(["%C3%BC"] * 50)
    assert len(name_readings.of_name(f"{name}#t=1")) <= MAX_URLS


def test_names_that_may_mean_the_same_file_are_different_images(store: Store, tmp_path: Path) -> None:
    names = ["a%20b.jpg", "a b.jpg", "a%2520b.jpg", "a%2Fb.jpg", "a/b.jpg"]
    store.add(*names)
    found = annotations(vott_web(names), store, tmp_path)
    downloaded = fetch(found, tmp_path)
    assert [downloaded.files[image.url].read_bytes() for image in found.images] == list(store.files.values())


# ------------------------------------------------------------------------------------------------------- frames of videos


def frames(names: list[str], video: str) -> str:
    """VoTT's JSON export of a video; the path of a frame is that of the video with the time."""
    document = json.loads(vott_json(names))
    for item in document["assets"].values():
        name = item["asset"]["name"]
        time = name.rpartition("#")[2].removesuffix(".jpg")
        item["asset"] |= {
            "type": 3,
            "path": f"{video}#{time}",
            "parent": {"id": "v", "name": "v.mp4", "path": video, "type": 2},
        }
    return json.dumps(document)


@pytest.mark.parametrize("images_url", [None, ".", "BASE/data"])
@pytest.mark.parametrize("video", ["file:/C:/videos/my%20drive.mp4", f"https://old.example/c/drive.mp4?{OLD_SAS}"])
@pytest.mark.parametrize(
    ("names", "stored"),
    [
        (["drive.mp4#t=0.jpg", "drive.mp4#t=1.5.jpg"], ["drive.mp4#t=0.jpg", "drive.mp4#t=1.5.jpg"]),
        (["drive.mp4#t=0", "drive.mp4#t=12.25"], ["drive.mp4#t=0.jpg", "drive.mp4#t=12.25.jpg"]),
        (["my%20drive.mp4#t=0.jpg", "my%20drive.mp4#t=7.jpg"], ["my%20drive.mp4#t=0.jpg", "my%20drive.mp4#t=7.jpg"]),
        (["my%20drive.mp4#t=0.jpg", "my%20drive.mp4#t=7.jpg"], ["my drive.mp4#t=0.jpg", "my drive.mp4#t=7.jpg"]),
        ([f"drive.mp4?{OLD_SAS}#t=0.jpg", "a.mp4#t=7.jpg"], [f"drive.mp4?{OLD_SAS}#t=0.jpg", "a.mp4#t=7.jpg"]),
    ],
)
def test_frames_of_a_video_are_found_by_their_names(
    names: list[str], stored: list[str], video: str, images_url: str | None, store: Store, tmp_path: Path
) -> None:
    store.add(*stored)
    options = {"images_url": images_url.replace("BASE", store.url)} if images_url else {}
    found = annotations(frames(names, video), store, tmp_path, **options)
    downloaded = fetch(found, tmp_path)
    assert [downloaded.files[image.url].read_bytes() for image in found.images] == list(store.files.values())
    assert {image.video for image in found.images} == {video.partition("?")[0]}


def test_frames_of_two_videos_that_have_one_file_are_refused(store: Store, tmp_path: Path) -> None:
    first = json.loads(frames(["clip.mp4#t=1.jpg", "clip.mp4#t=2.jpg"], "file:/C:/a/clip.mp4"))["assets"]
    second = json.loads(frames(["clip.mp4#t=2.jpg", "clip.mp4#t=3.jpg"], "file:/C:/b/clip.mp4"))["assets"]
    document = json.dumps({"assets": {**first, **{f"b{key}": asset for key, asset in second.items()}}})
    with pytest.raises(BadAnnotationsError) as error:
        annotations(document, store, tmp_path)
    problem = "asset 'clip.mp4#t=2.jpg': is a frame of several videos of one name: rename the videos"
    assert str(error.value).count(problem) == 2


# ------------------------------------------------------------------------------------------------------------ imagesUrl


@pytest.mark.parametrize("images_url", [".", "BASE/data", "../data", "images"])
@pytest.mark.parametrize(
    "folder", ["file:/C:/Users/x/", "C:\\Users\\x\\", "/home/x/", "https://old.example/c/", "s3://bucket/"]
)
def test_images_of_elsewhere_are_found_by_their_names(
    folder: str, images_url: str, store: Store, tmp_path: Path
) -> None:
    below = "images/" if images_url == "images" else ""
    query = f"?{OLD_SAS}" if folder.startswith("https") else ""
    names = ["my%20photo.jpg", "K%C3%BCche.jpg", "photo[1].jpg"]
    store.add(*(below + name for name in names))
    content = vott_json([f"{folder}{name}{query}" for name in names])
    found = annotations(content, store, tmp_path, images_url=images_url.replace("BASE", store.url))
    downloaded = fetch(found, tmp_path)
    assert [downloaded.files[image.url].read_bytes() for image in found.images] == list(store.files.values())


def test_link_with_a_stale_sas_is_replaced_and_others_are_not(store: Store, tmp_path: Path) -> None:
    store.add("sub/a.jpg", "b.jpg", "elsewhere/c.jpg", "c.jpg")
    stale = [f"{store.url}/data/sub%2Fa.jpg?{OLD_SAS}", f"https://gone.example/c/b.jpg?{OLD_SAS}"]
    found = annotations(vott_json([*stale, f"{store.url}/elsewhere/c.jpg"]), store, tmp_path, images_url=".")
    store.files["/elsewhere/c.jpg"] = store.files.pop("/data/elsewhere/c.jpg")
    downloaded = fetch(found, tmp_path)
    contents = [downloaded.files[image.url].read_bytes() for image in found.images]
    assert contents == [store.files[path] for path in ("/data/sub/a.jpg", "/data/b.jpg", "/elsewhere/c.jpg")]
    assert all("STALE" not in request.query for request in store.requests)


def test_link_is_used_where_images_url_has_no_such_image(store: Store, tmp_path: Path) -> None:
    store.files["/elsewhere/c.jpg"] = image_with_shapes(0)[0]
    found = annotations(vott_web([f"{store.url}/elsewhere/c.jpg?sv=2"]), store, tmp_path, images_url=".")
    assert len(fetch(found, tmp_path).files) == 1


@pytest.mark.parametrize("folder", ["file:/C:/photos/", "C:\\photos\\", "https://old.example/photos/"])
def test_images_of_one_name_in_different_folders_are_kept_apart(folder: str, store: Store, tmp_path: Path) -> None:
    names = ["cam1/1.jpg", "cam2/1.jpg", "cam2/2.jpg"]
    query = f"?{OLD_SAS}" if folder.startswith("https") else ""
    content = vott_json([f"{folder}{name}{query}" for name in names])
    store.add(*names, "1.jpg")
    found = annotations(content, store, tmp_path, images_url=".")
    downloaded = fetch(found, tmp_path)
    contents = [downloaded.files[image.url].read_bytes() for image in found.images]
    assert contents == [store.files[f"/data/{name}"] for name in names]
    (finding,) = found.findings
    assert finding.what == (
        "2 images have the name of another one in a different folder, such as 'cam1/1.jpg' and 'cam2/1.jpg': looked up with their folders"
    )


def test_one_copy_is_never_taken_for_two_images_of_its_name(store: Store, tmp_path: Path) -> None:
    store.add("1.jpg")
    content = vott_json(["file:/C:/photos/1.jpg", "file:/C:/photos/sub/1.jpg"])
    with pytest.raises(NoUsableImagesError, match=r"/data/photos/.*1\.jpg and 1 more: HTTP 404 Not Found"):
        fetch(annotations(content, store, tmp_path, images_url="."), tmp_path)


def test_the_same_path_twice_is_one_image(store: Store, tmp_path: Path) -> None:
    found = annotations(vott_web(["C:\\x\\1.jpg", "C:/x/1.jpg", "file:/C:/x/1.jpg"]), store, tmp_path, images_url=".")
    assert [len(image.boxes) for image in found.images] == [3]
    assert found.findings == []
