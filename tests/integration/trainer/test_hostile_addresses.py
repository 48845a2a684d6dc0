"""URLs that lead to where nobody may send the trainer: by every way that a message has, over real sockets."""

import contextlib
import json
from pathlib import Path

import pytest

from tests.integration.trainer.ways import WAYS, Names, Way, annotations, callback
from tests.support.http_server import Answer, HttpServer
from vott_trainer.__main__ import main
from vott_trainer.command_line import parse
from vott_trainer.errors import AddressRefusedError, NoUsableImagesError, UsageError
from vott_trainer.progress.reporter import UnsubscribedError
from vott_trainer.settings import TrainSettings
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination_url import resolve

pytestmark = pytest.mark.usefixtures("no_waits")


def refused(way: Way, url: str, folder: Path) -> str:
    """What the trainer says of an address that the rules refuse."""
    with pytest.raises((AddressRefusedError, UnsubscribedError, NoUsableImagesError)) as raised:
        way(url, folder)
    assert "SECRET" not in str(raised.value)
    return str(raised.value)


# With http and the loopback allowed, as the demo has it.
NEVER = [
    "169.254.169.254",
    "169.254.170.2",
    "2852039166",
    "0xA9FEA9FE",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[2002:a9fe:a9fe::1]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "168.63.129.16",
    "100.100.100.200",
    "0.0.0.0",
    "0",
    "[::]",
    "224.0.0.1",
    "255.255.255.255",
    "[ff02::1]",
]  # fmt: skip
PRIVATE = [
    "10.96.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "0xa.96.1",
    "167772161",
    "[::1]",
    "[fc00::1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::10.0.0.1]",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", [*NEVER, *PRIVATE])
def test_no_way_leads_to_a_forbidden_address(way: Way, host: str, connected: list[object], tmp_path: Path) -> None:
    said = refused(way, f"http://{host}/latest", tmp_path)
    assert "is refused: that address is" in said
    assert connected == []


DECEITFUL = [
    ("https://user:SECRET@store.example/x", "a user name or password stands before the host"),
    ("https://store.example@169.254.169.254/x", "a user name or password stands before the host"),
    ("https://store.example:22/x", "that port is another service's"),
    ("https://store.example:25/x", "that port is another service's"),
    ("https://store.example:99999/x", "expected"),
    ("https://störe.example/x", "that is no host name in ASCII"),
    ("https://\uff11\uff16\uff19.254.169.254/x", "that is no host name in ASCII"),
    ("https://169。254。169。254/x", "that is no host name in ASCII"),
    ("https://store%2eexample/x", "that is no host name in ASCII"),
    ("https://store.example\\@169.254.169.254/x", "backslashes"),
    ("https://store.example/\x00x", "control characters"),
    ("https://[::ffff:169.254.169.254%25eth0]/x", "that address is link-local"),
    ("https://localhost/x", "that address is loopback"),
    ("https://a.localhost./x", "that address is loopback"),
    ("http://store.example/x", "only https is allowed here"),
]


@pytest.mark.parametrize("argument", ["--annotations", "--initial-weights", "--model"])
@pytest.mark.parametrize("query", ["sp=w&sig=SECRET", "token=SECRET"])
@pytest.mark.parametrize(("url", "words"), DECEITFUL)
@pytest.mark.usefixtures("strict")
def test_url_that_is_written_to_deceive_is_refused_before_anything_is_asked(
    argument: str, query: str, url: str, words: str, connected: list[object]
) -> None:
    good = {"--annotations": "https://store.example/a.csv", "--model": "https://store.example/c?sp=w&sig=x"}
    urls = {**good, argument: f"{url}?{query}"}
    with pytest.raises(UsageError, match=words) as error:
        resolve(_parsed(urls).model, StorageAccess())
    assert "SECRET" not in str(error.value)
    assert connected == []


def _parsed(urls: dict[str, str]) -> TrainSettings:
    settings = parse([word for pair in urls.items() for word in pair], {})
    assert isinstance(settings, TrainSettings)
    return settings


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("url", [url for url, _ in DECEITFUL])
@pytest.mark.usefixtures("strict")
def test_no_way_is_deceived_by_how_a_url_is_written(
    way: Way, url: str, names: Names, connected: list[object], tmp_path: Path
) -> None:
    names.answers |= {"store.example": [["10.0.0.1"]], "xn--stre-6qa.example": [["169.254.169.254"]]}
    with pytest.raises(Exception, match=r".") as error:
        way(url, tmp_path)
    assert "SECRET" not in str(error.value)
    assert connected == []


FORBIDDEN = ["169.254.169.254", "fd00:ec2::254", "10.96.0.1", "127.0.0.1", "::1", "64:ff9b::a9fe:a9fe", "100.64.0.1"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("address", FORBIDDEN)
@pytest.mark.usefixtures("strict")
def test_no_way_leads_to_a_name_with_a_forbidden_address(
    way: Way, address: str, names: Names, connected: list[object], tmp_path: Path
) -> None:
    names.answers["store.evil.example"] = [[address]]
    said = refused(way, "https://store.evil.example/x", tmp_path)
    assert "store.evil.example (" in said
    assert connected == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("strict")
def test_one_forbidden_address_beside_a_public_one_is_enough(
    way: Way, names: Names, connected: list[object], tmp_path: Path
) -> None:
    names.answers["store.evil.example"] = [["93.184.215.14", "169.254.169.254"]]
    assert "link-local" in refused(way, "https://store.evil.example/x", tmp_path)
    assert connected == []


@pytest.mark.parametrize(
    "name", ["kubernetes.default.svc", "operator-metrics.vott-train.svc.cluster.local", "kubernetes"]
)
@pytest.mark.usefixtures("strict")
def test_services_of_the_cluster_are_refused(name: str, names: Names, connected: list[object], tmp_path: Path) -> None:
    names.answers[name] = [["10.96.0.1"]]
    assert "private" in refused(annotations, f"https://{name}/api", tmp_path)
    assert connected == []


@pytest.mark.parametrize("way", WAYS)
def test_name_that_changes_between_two_look_ups_is_refused_by_the_second(
    way: Way, server: HttpServer, names: Names, tmp_path: Path
) -> None:
    port = server.url.rpartition(":")[2]
    names.answers["store.evil.example"] = [["127.0.0.1"], ["169.254.169.254"]]
    server.always |= {path: Answer(404) for path in ("/x", "/x/models/model.tgz")}
    for words in ("HTTP 404", "link-local"):
        with pytest.raises(Exception, match=words):
            way(f"http://store.evil.example:{port}/x", tmp_path)
    assert {request.headers["Host"] for request in server.requests} == {f"store.evil.example:{port}"}


@pytest.mark.usefixtures("strict")
def test_name_of_the_models_place_that_changes_after_it_was_looked_up_is_refused(
    names: Names, connected: list[object], tmp_path: Path
) -> None:
    names.answers["store.evil.example"] = [["93.184.215.14"], ["169.254.169.254"]]
    destination = resolve("https://store.evil.example/models?sp=w&sig=SECRET", StorageAccess())
    destination.check_address()
    (tmp_path / "model.tgz").write_bytes(b"weights")
    with pytest.raises(AddressRefusedError, match="link-local"):
        destination.store.put(tmp_path / "model.tgz", "model.tgz")
    assert connected == []


@pytest.mark.parametrize("query", ["sp=w&sig=SECRET", "token=SECRET"])
def test_forbidden_address_of_the_model_is_refused_before_anything_is_fetched(
    query: str, server: HttpServer, names: Names, tmp_path: Path
) -> None:
    names.answers["store.evil.example"] = [["169.254.169.254"]]
    (log := tmp_path / "termination-log").touch()
    urls = ["--annotations", server.serve("/a.csv", b""), "--model", f"https://store.evil.example/models?{query}"]
    assert main(["--plugin", "hello-world", *urls], log) == 64
    left = json.loads(log.read_bytes())
    assert left["reason"] == "AddressRefused"
    said = "store.evil.example (169.254.169.254) is refused: that address is link-local"
    assert left["message"].startswith("The upload to https://store.evil.example/models")
    assert said in left["message"]
    assert "SECRET" not in left["message"]
    assert server.requests == []


@pytest.mark.usefixtures("strict")
def test_listed_host_may_be_private_but_never_metadata(
    server: HttpServer, names: Names, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOTT_ALLOWED_HOSTS", "*.corp.example")
    monkeypatch.setenv("VOTT_ALLOW_HTTP", "true")
    names.answers["store.corp.example"] = [["127.0.0.1"], ["169.254.169.254"]]
    url = f"http://store.corp.example:{server.url.rpartition(':')[2]}/status"
    callback(url, tmp_path)
    assert [request.path for request in server.requests] == ["/status"]
    assert "Nothing can allow it" in refused(callback, url, tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_no_way_takes_a_proxy_or_a_password_from_the_environment(
    way: Way, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password SECRET")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with HttpServer() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with contextlib.suppress(Exception):
            way(f"{server.url}/x", tmp_path)
    assert proxy.requests == []
    assert server.requests
    assert not [request for request in server.requests if "Authorization" in request.headers]
