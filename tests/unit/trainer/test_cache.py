"""The image cache: serves only what the store confirms, and never fails a training."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http_server import Answer, HttpServer, Request
from vott_trainer.errors import InvalidParametersError
from vott_trainer.http.fetch import FetchError, download
from vott_trainer.http.image_cache import BLOCK, DEFAULT_LIMIT, ImageCache, evict
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.http.session import Session


class Store(HttpServer):
    """A store with validators that requires a signature, as an Azure container does."""

    validators: tuple[str, ...] = ("ETag", "Last-Modified")
    etag = '"1"'

    def answer(self, request: Request) -> Answer:
        """Check the permission, then the conditions."""
        self.requests.append(request)
        if request.path in self.always:
            return self.always[request.path]
        if "sig=right" not in request.query or request.path not in self.files:
            return Answer(403)
        headers = {"ETag": self.etag, "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT"}
        headers = {name: value for name, value in headers.items() if name in self.validators}
        unchanged = request.headers.get("If-None-Match") == headers.get("ETag", "") or (
            request.headers.get("If-Modified-Since") == headers.get("Last-Modified", "")
        )
        return Answer(304) if unchanged else Answer(200, self.files[request.path], headers)


class CacheHarness:
    """A store with one image, and a cache."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.cache = ImageCache(folder / "cache")
        self.url = store.serve("/c/a.png", b"content") + "?sv=1&sig=right"

    def fetch(self, url: str = "", cache: ImageCache | None = None) -> bytes:
        """Download, and return the content."""
        path, policy = self.folder / "file", RetryPolicy(attempts=1)
        with Session(10.0) as session:
            download(session, url or self.url, path, limit=10_000, policy=policy, cache=cache or self.cache)
        return path.read_bytes()

    def answered(self) -> list[int]:
        """The statuses of the store's answers so far."""
        return [self.store.answer(request).status for request in list(self.store.requests)]

    def contents(self) -> list[Path]:
        """The cached files."""
        return [path for path in (self.folder / "cache/contents").rglob("*") if path.is_file()]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[CacheHarness]:
    with Store() as store:
        yield CacheHarness(store, tmp_path)


def test_second_download_transfers_no_content(harness: CacheHarness) -> None:
    assert [harness.fetch(), harness.fetch()] == [b"content", b"content"]
    assert harness.answered() == [200, 304]


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_one_validator_is_enough(validator: str, harness: CacheHarness) -> None:
    harness.store.validators = (validator,)
    assert [harness.fetch(), harness.fetch()] == [b"content", b"content"]
    assert harness.answered() == [200, 304]


def test_new_sas_for_the_same_image_uses_the_cache(harness: CacheHarness) -> None:
    harness.fetch()
    assert harness.fetch(harness.url.replace("sv=1", "sv=2&se=2027")) == b"content"
    assert harness.answered() == [200, 304]


def test_link_without_permission_gets_nothing_from_the_cache(harness: CacheHarness) -> None:
    harness.fetch()
    with pytest.raises(FetchError, match="HTTP 403 Forbidden"):
        harness.fetch(harness.url.replace("right", "wrong"))


def test_deleted_image_is_not_served(harness: CacheHarness) -> None:
    harness.fetch()
    del harness.store.files["/c/a.png"]
    with pytest.raises(FetchError, match="HTTP 403 Forbidden"):
        harness.fetch()


def test_changed_image_is_downloaded_again_and_cached(harness: CacheHarness) -> None:
    harness.fetch()
    harness.store.etag = '"2"'
    harness.store.validators = ("ETag",)
    harness.store.serve("/c/a.png", b"changed")
    assert [harness.fetch(), harness.fetch()] == [b"changed", b"changed"]
    assert harness.answered()[1:] == [200, 304]


def test_query_that_selects_the_content_is_part_of_the_key(harness: CacheHarness) -> None:
    harness.fetch(harness.url + "&size=1")
    harness.fetch(harness.url + "&size=2")
    assert "If-None-Match" not in harness.store.requests[-1].headers


def test_without_validators_nothing_is_cached(harness: CacheHarness) -> None:
    harness.store.validators = ()
    assert [harness.fetch(), harness.fetch()] == [b"content", b"content"]
    assert harness.contents() == []


def test_no_store_is_respected(harness: CacheHarness) -> None:
    harness.store.always["/c/private.png"] = Answer(
        200, b"private", {"ETag": '"1"', "Cache-Control": "private, No-Store"}
    )
    assert harness.fetch(harness.store.url + "/c/private.png?sig=right") == b"private"
    assert harness.contents() == []


def test_same_content_of_two_links_is_cached_once(harness: CacheHarness) -> None:
    harness.fetch()
    harness.fetch(harness.store.serve("/c/b.png", b"content") + "?sv=1&sig=right")
    assert len(harness.contents()) == 1


@pytest.mark.parametrize("damage", [b"", b"Content", b"content and more"])
def test_damaged_content_is_replaced(damage: bytes, harness: CacheHarness) -> None:
    harness.fetch()
    harness.contents()[0].write_bytes(damage)
    assert [harness.fetch(), harness.fetch()] == [b"content", b"content"]
    assert harness.contents()[0].read_bytes() == b"content"


@pytest.mark.parametrize(
    "entry",
    [b"", b"{}", b"[]", b"\xff", b'{"sha256": "../../file", "etag": "1", "last_modified": ""}', b'{"sha256": 7, "etag": 7, "last_modified": 7}',
     b'{"sha256": "%s", "etag": "a\\nb", "last_modified": ""}' % (b"0" * 64)],
)  # fmt: skip
def test_damaged_entry_counts_as_missing(entry: bytes, harness: CacheHarness) -> None:
    harness.fetch()
    (link,) = (path for path in (harness.folder / "cache/links").rglob("*") if path.is_file())
    link.write_bytes(entry)
    assert harness.fetch() == b"content"


def test_deleted_content_is_downloaded_again(harness: CacheHarness) -> None:
    harness.fetch()
    harness.contents()[0].unlink()
    assert harness.fetch() == b"content"


def test_unwritable_folder_only_logs_a_warning(harness: CacheHarness, caplog: pytest.LogCaptureFixture) -> None:
    (harness.folder / "occupied").write_bytes(b"")
    cache = ImageCache(harness.folder / "occupied")
    assert [harness.fetch(cache=cache), harness.fetch(cache=cache)] == [b"content", b"content"]
    assert [record.getMessage() for record in caplog.records] == [
        f"the image cache {harness.folder / 'occupied'} can't be written, no more images are added: File exists"
    ]


def test_least_recently_used_files_are_evicted_first(harness: CacheHarness) -> None:
    cache = ImageCache(harness.folder / "cache", limit=10 * BLOCK)
    urls = [harness.store.serve(f"/c/{number}.png", bytes([number]) * 2000) + "?sig=right" for number in range(12)]
    for url in urls:
        harness.fetch(urls[0], cache)
        harness.fetch(url, cache)
    requests = [request for request in harness.store.requests if request.path == "/c/0.png"]
    assert all("If-None-Match" in request.headers for request in requests[1:])
    assert cache.find(urls[11])
    assert cache.find(urls[1]) is None
    assert sum(BLOCK for path in (harness.folder / "cache").rglob("*") if path.is_file()) <= 10 * BLOCK


def test_twentieth_of_the_disk_stays_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / str(number)).write_bytes(b"x")
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(100 * BLOCK, 97 * BLOCK, 3 * BLOCK)
    )
    evict(tmp_path, 1 << 30)
    assert len(list(tmp_path.iterdir())) == 2


def test_pods_that_share_a_cache_all_get_their_images(harness: CacheHarness) -> None:
    urls = [harness.store.serve(f"/c/{number}.png", bytes([number]) * 5000) + "?sig=right" for number in range(20)]
    got: list[bytes] = []

    def pod(name: str) -> None:
        cache = ImageCache(harness.folder / "cache", limit=12 * BLOCK)
        with Session(10.0) as session:
            for url in urls * 2:
                download(session, url, harness.folder / name, limit=10_000, policy=RetryPolicy(attempts=1), cache=cache)
                got.append((harness.folder / name).read_bytes())

    threads = [threading.Thread(target=pod, args=(f"pod{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(bytes([number]) * 5000 for number in range(20) for _ in range(8))
    assert list((harness.folder / "cache").rglob("*.partial")) == []


@pytest.mark.parametrize(("text", "limit"), [("", DEFAULT_LIMIT), ("1000", 1000)])
def test_limit_is_configurable(text: str, limit: int, tmp_path: Path) -> None:
    cache = ImageCache.from_environment({"VOTT_IMAGE_CACHE": str(tmp_path), "VOTT_IMAGE_CACHE_BYTES": text})
    assert cache
    assert cache.limit == limit


def test_without_a_folder_there_is_no_cache() -> None:
    assert ImageCache.from_environment({}) is None


@pytest.mark.parametrize("text", ["lots", "-1", "1.5", "10Gi"])
def test_invalid_limit_is_refused(text: str) -> None:
    with pytest.raises(InvalidParametersError, match="VOTT_IMAGE_CACHE_BYTES: expected a number of bytes, found"):
        ImageCache.from_environment({"VOTT_IMAGE_CACHE": "/cache", "VOTT_IMAGE_CACHE_BYTES": text})
