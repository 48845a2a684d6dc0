"""Image download: a few bad images are left out with the reason, many are an error."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.support.annotated_images import image_with_shapes, png
from tests.support.http_server import Answer, HttpServer
from vott_trainer.annotations.findings import Finding
from vott_trainer.data.image_download import AWAY, PASSES, Downloaded, ImageLimits, download_images
from vott_trainer.errors import NoUsableImagesError, TemporaryFailureError
from vott_trainer.http.image_cache import ImageCache
from vott_trainer.http.retry import RetryPolicy

GOOD = image_with_shapes(0)[0]


def tiff(image: Image.Image) -> bytes:
    image.save(file := BytesIO(), "TIFF")
    return file.getvalue()


def download(urls: list[str], folder: Path, limits: ImageLimits | None = None) -> Downloaded:
    return download_images(urls, folder, limits=limits, policy=RetryPolicy(attempts=2, sleep=lambda _seconds: None))


SAVE = "save it with 8 bits per channel, as RGB or grey"


def good(server: HttpServer, count: int) -> list[str]:
    return [server.serve(f"/good/{number}.png", GOOD) for number in range(count)]


def test_all_images_are_downloaded_and_progress_is_reported(server: HttpServer, tmp_path: Path) -> None:
    urls, reported = good(server, 5), list[tuple[int, int]]()
    downloaded = download_images(urls, tmp_path, on_progress=lambda done, total: reported.append((done, total)))
    assert set(downloaded.files) == set(urls)
    assert all(path.read_bytes() == GOOD for path in downloaded.files.values())
    assert reported == [(done, 5) for done in range(1, 6)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GOOD[:-40], "a PNG that is damaged or truncated: upload it again"),
        (b"<html>sign in</html>", "a web page, such as a sign-in, not an image: use a link to the image itself"),
        (b"x" * 5000, "larger than the limit of 0 MiB"),
        (png(Image.new("L", (300, 300))), "more than 50,000 pixels"),
        (tiff(Image.new("F", (20, 20))), f"a TIFF of floating-point numbers: {SAVE}"),
        (tiff(Image.new("I", (20, 20))), f"a TIFF with 1 channel of 32 signed bits: {SAVE}"),
    ],
    ids=["truncated", "no image", "too many bytes", "too many pixels", "32-bit float", "32-bit"],
)
def test_bad_image_is_left_out_with_its_reason(content: bytes, reason: str, server: HttpServer, tmp_path: Path) -> None:
    bad = server.serve("/bad.png", content) + "?sig=SECRET"
    downloaded = download([*good(server, 4), bad], tmp_path, ImageLimits(image_bytes=4000, image_pixels=50_000))
    assert downloaded.dropped == [Finding("image", server.url + "/bad.png", reason)]
    assert len(downloaded.files) == 4


def test_too_many_bad_images_are_an_error_that_names_the_first_few(server: HttpServer, tmp_path: Path) -> None:
    missing = [f"{server.url}/missing/{number}.png?sig=SECRET" for number in range(2)]
    with pytest.raises(NoUsableImagesError) as error:
        download([*good(server, 10), *missing], tmp_path)
    text = str(error.value)
    assert "2 of 12 images can't be used, at most 1 may be left out" in text
    assert "and 1 more: HTTP 404 Not Found. Check that these links are valid and not expired, then send" in text
    assert "SECRET" not in text


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)


def test_images_that_can_not_be_decoded_are_named_and_no_link_is_blamed(server: HttpServer, tmp_path: Path) -> None:
    photos = [server.serve(f"/{number}.jpg", HEIC) for number in range(3)]
    with pytest.raises(NoUsableImagesError) as error:
        download([*good(server, 10), *photos], tmp_path)
    text = str(error.value)
    assert "a HEIC photo, which is not supported: save it as JPEG, PNG, WebP or AVIF. Replace or convert these" in text
    assert "link" not in text


def test_each_cause_has_its_example_and_its_remedy(server: HttpServer, tmp_path: Path) -> None:
    photo, limits = server.serve("/photo.heic", HEIC), ImageLimits(dropped_fraction=0.1, workers=1)
    with pytest.raises(NoUsableImagesError) as error:
        download([photo, f"{server.url}/missing.png", *good(server, 9)], tmp_path, limits)
    text = str(error.value)
    assert f"{photo}: a HEIC photo" in text
    assert f"{server.url}/missing.png: HTTP 404 Not Found" in text
    assert "Replace or convert these files, check that these links are valid and not expired, then send" in text


def test_image_of_several_frames_is_used_and_told(server: HttpServer, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    frames[0].save(file := BytesIO(), "GIF", save_all=True, append_images=frames[1:])
    url = server.serve("/animation.gif", file.getvalue())
    downloaded = download([url, *good(server, 2)], tmp_path)
    assert len(downloaded.files) == 3
    assert downloaded.told == [Finding("image", url, "has several frames: only the first is used")]


def test_single_bad_image_of_one_is_an_error(server: HttpServer, tmp_path: Path) -> None:
    with pytest.raises(NoUsableImagesError, match="1 of 1 images can't be used"):
        download([f"{server.url}/missing.png"], tmp_path)


def test_store_that_is_down_is_a_temporary_failure(server: HttpServer, tmp_path: Path) -> None:
    for name in ("/a.png", "/b.png"):
        server.always[name] = Answer(503)
    with pytest.raises(TemporaryFailureError, match="HTTP 503 Service Unavailable"):
        download([server.url + "/a.png", server.url + "/b.png"], tmp_path)


def test_image_of_a_store_that_is_away_for_a_moment_is_fetched_later(server: HttpServer, tmp_path: Path) -> None:
    urls = good(server, 3)
    server.answers["/good/1.png"] = [Answer(503)] * 5
    downloaded = download(urls, tmp_path)
    assert set(downloaded.files) == set(urls)
    assert (downloaded.dropped, downloaded.temporary) == ([], 0)


def test_patience_with_a_store_lasts_for_minutes_and_ends(server: HttpServer, tmp_path: Path) -> None:
    waits: list[float] = []
    server.always["/away.png"] = Answer(429)
    urls = [*good(server, 3), f"{server.url}/away.png"]
    downloaded = download_images(urls, tmp_path, policy=RetryPolicy(attempts=1, sleep=waits.append))
    assert 120 < sum(waits) < 360
    assert downloaded.dropped == [Finding("image", urls[-1], "HTTP 429 Too Many Requests")]
    assert downloaded.temporary == 1


def test_image_that_is_not_there_is_not_asked_for_again(server: HttpServer, tmp_path: Path) -> None:
    downloaded = download([*good(server, 3), f"{server.url}/missing.png"], tmp_path)
    assert (len(downloaded.dropped), downloaded.temporary) == (1, 0)
    assert [request.path for request in server.requests].count("/missing.png") == 1


def test_store_that_is_away_is_left_alone_until_the_next_pass(server: HttpServer, tmp_path: Path) -> None:
    urls = [f"{server.url}/away/{number}.png" for number in range(200)]
    server.always = {f"/away/{number}.png": Answer(503) for number in range(200)}
    requests: list[int] = []  # before each wait
    limits, policy = (
        ImageLimits(workers=2),
        RetryPolicy(attempts=1, sleep=lambda _: requests.append(len(server.requests))),
    )
    with pytest.raises(TemporaryFailureError):
        download_images(urls, tmp_path, limits=limits, policy=policy)
    assert len(requests) == PASSES
    assert AWAY <= requests[0] < AWAY + 10


def test_bad_image_does_not_make_the_failure_of_a_store_permanent(server: HttpServer, tmp_path: Path) -> None:
    for number in range(3):
        server.always[f"/away/{number}.png"] = Answer(503)
    away = [f"{server.url}/away/{number}.png" for number in range(3)]
    with pytest.raises(TemporaryFailureError, match="4 of 20 images can't be used, at most 2 may be left out"):
        download([*good(server, 16), f"{server.url}/missing.png", *away], tmp_path)


def test_second_training_takes_unchanged_images_from_the_cache(server: HttpServer, tmp_path: Path) -> None:
    urls = [f"{server.url}/{number}.png?sig=x" for number in range(3)]
    for number in range(3):
        server.answers[f"/{number}.png"] = [Answer(200, GOOD, {"ETag": '"1"'}), Answer(304)]
    for training, cached in (("first", 0), ("second", 3)):
        downloaded = download_images(urls, tmp_path / training, cache=ImageCache(tmp_path / "cache"))
        assert [path.read_bytes() for path in downloaded.files.values()] == [GOOD] * 3
        assert downloaded.cached == cached


class CountedUrls(list[str]):
    """Counts the items taken from it."""

    taken = 0

    def __iter__(self) -> Iterator[str]:
        for item in super().__iter__():
            self.taken += 1
            yield item


def test_few_of_very_many_downloads_are_pending(server: HttpServer, tmp_path: Path) -> None:
    urls, taken = CountedUrls(good(server, 50)), list[int]()
    download_images(
        urls, tmp_path, limits=ImageLimits(workers=2), on_progress=lambda _done, _total: taken.append(urls.taken)
    )
    assert taken[0] == 4
    assert taken[-1] == 50
