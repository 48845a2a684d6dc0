"""URLs of a message that lead to forbidden addresses: the trainer connects to none of them."""

import contextlib
import json
from pathlib import Path

import pytest

from tests.integration.trainer.fake_resolver import FakeResolver
from tests.integration.trainer.outgoing_requests import REQUESTS, SendRequest, fetch_annotations, post_callback
from tests.support.http_server import Answer, HttpServer
from vott_trainer.__main__ import main
from vott_trainer.command_line import parse
from vott_trainer.errors import AddressRefusedError, NoUsableImagesError, UsageError
from vott_trainer.progress.reporter import UnsubscribedError
from vott_trainer.settings import TrainSettings
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination_url import resolve

pytestmark = pytest.mark.usefixtures("no_retry_delays")


def refusal(send_request: SendRequest, url: str, folder: Path) -> str:
    """Send a request to an address that the rules refuse; return the text of the error."""
    with pytest.raises((AddressRefusedError, UnsubscribedError, NoUsableImagesError)) as raised:
        send_request(url, folder)
    assert "SECRET" not in str(raised.value)
    return str(raised.value)


# Refused although http and the loopback are allowed.
NEVER_ALLOWED = [
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


@pytest.mark.parametrize("send_request", REQUESTS)
@pytest.mark.parametrize("host", [*NEVER_ALLOWED, *PRIVATE])
def test_no_request_is_sent_to_a_forbidden_address(
    send_request: SendRequest, host: str, connection_attempts: list[object], tmp_path: Path
) -> None:
    error = refusal(send_request, f"http://{host}/latest", tmp_path)
    assert "is refused: that address is" in error
    assert connection_attempts == []


DECEPTIVE = [
    ("https://user:SECRET@store.example/x", "a user name or password stands before the host"),
    ("https://store.example@169.254.169.254/x", "a user name or password stands before the host"),
    ("https://store.example:22/x", "that port belongs to another service"),
    ("https://store.example:25/x", "that port belongs to another service"),
    ("https://store.example:99999/x", "expected"),
    ("https://störe.example/x", "that is not an ASCII host name"),
    ("https://\uff11\uff16\uff19.254.169.254/x", "that is not an ASCII host name"),
    ("https://169。254。169。254/x", "that is not an ASCII host name"),
    ("https://store%2eexample/x", "that is not an ASCII host name"),
    ("https://store.example\\@169.254.169.254/x", "backslashes"),
    ("https://store.example/\x00x", "control characters"),
    ("https://[::ffff:169.254.169.254%25eth0]/x", "that address is link-local"),
    ("https://localhost/x", "that address is loopback"),
    ("https://a.localhost./x", "that address is loopback"),
    ("http://store.example/x", "only https is allowed here"),
]


@pytest.mark.parametrize("argument", ["--annotations", "--initial-weights", "--model"])
@pytest.mark.parametrize("query", ["sp=w&sig=SECRET", "token=SECRET"])
@pytest.mark.parametrize(("url", "reason"), DECEPTIVE)
@pytest.mark.usefixtures("default_rules")
def test_deceptive_url_is_refused_before_any_connection(
    argument: str, query: str, url: str, reason: str, connection_attempts: list[object]
) -> None:
    valid = {"--annotations": "https://store.example/a.csv", "--model": "https://store.example/c?sp=w&sig=x"}
    urls = {**valid, argument: f"{url}?{query}"}
    with pytest.raises(UsageError, match=reason) as error:
        resolve(_parsed(urls).model, StorageAccess())
    assert "SECRET" not in str(error.value)
    assert connection_attempts == []


def _parsed(urls: dict[str, str]) -> TrainSettings:
    settings = parse([text for option in urls.items() for text in option], {})
    assert isinstance(settings, TrainSettings)
    return settings


@pytest.mark.parametrize("send_request", REQUESTS)
@pytest.mark.parametrize("url", [url for url, _ in DECEPTIVE])
@pytest.mark.usefixtures("default_rules")
def test_no_request_is_sent_to_a_deceptive_url(
    send_request: SendRequest, url: str, resolver: FakeResolver, connection_attempts: list[object], tmp_path: Path
) -> None:
    resolver.answers |= {"store.example": [["10.0.0.1"]], "xn--stre-6qa.example": [["169.254.169.254"]]}
    with pytest.raises(Exception, match=r".") as error:
        send_request(url, tmp_path)
    assert "SECRET" not in str(error.value)
    assert connection_attempts == []


FORBIDDEN = ["169.254.169.254", "fd00:ec2::254", "10.96.0.1", "127.0.0.1", "::1", "64:ff9b::a9fe:a9fe", "100.64.0.1"]


@pytest.mark.parametrize("send_request", REQUESTS)
@pytest.mark.parametrize("address", FORBIDDEN)
@pytest.mark.usefixtures("default_rules")
def test_no_request_is_sent_to_a_name_with_a_forbidden_address(
    send_request: SendRequest, address: str, resolver: FakeResolver, connection_attempts: list[object], tmp_path: Path
) -> None:
    resolver.answers["store.evil.example"] = [[address]]
    error = refusal(send_request, "https://store.evil.example/x", tmp_path)
    assert "store.evil.example (" in error
    assert connection_attempts == []


@pytest.mark.parametrize("send_request", REQUESTS)
@pytest.mark.usefixtures("default_rules")
def test_name_with_a_forbidden_and_a_public_address_is_refused(
    send_request: SendRequest, resolver: FakeResolver, connection_attempts: list[object], tmp_path: Path
) -> None:
    resolver.answers["store.evil.example"] = [["93.184.215.14", "169.254.169.254"]]
    assert "link-local" in refusal(send_request, "https://store.evil.example/x", tmp_path)
    assert connection_attempts == []


@pytest.mark.parametrize(
    "name", ["kubernetes.default.svc", "operator-metrics.vott-train.svc.cluster.local", "kubernetes"]
)
@pytest.mark.usefixtures("default_rules")
def test_cluster_services_are_refused(
    name: str, resolver: FakeResolver, connection_attempts: list[object], tmp_path: Path
) -> None:
    resolver.answers[name] = [["10.96.0.1"]]
    assert "private" in refusal(fetch_annotations, f"https://{name}/api", tmp_path)
    assert connection_attempts == []


@pytest.mark.parametrize("send_request", REQUESTS)
def test_name_is_refused_once_it_resolves_to_a_forbidden_address(
    send_request: SendRequest, server: HttpServer, resolver: FakeResolver, tmp_path: Path
) -> None:
    port = server.url.rpartition(":")[2]
    resolver.answers["store.evil.example"] = [["127.0.0.1"], ["169.254.169.254"]]
    server.always |= {path: Answer(404) for path in ("/x", "/x/models/model.tgz")}
    for reason in ("HTTP 404", "link-local"):
        with pytest.raises(Exception, match=reason):
            send_request(f"http://store.evil.example:{port}/x", tmp_path)
    assert {request.headers["Host"] for request in server.requests} == {f"store.evil.example:{port}"}


@pytest.mark.usefixtures("default_rules")
def test_models_host_is_checked_again_when_the_model_is_uploaded(
    resolver: FakeResolver, connection_attempts: list[object], tmp_path: Path
) -> None:
    resolver.answers["store.evil.example"] = [["93.184.215.14"], ["169.254.169.254"]]
    destination = resolve("https://store.evil.example/models?sp=w&sig=SECRET", StorageAccess())
    destination.check_address()
    (tmp_path / "model.tgz").write_bytes(b"weights")
    with pytest.raises(AddressRefusedError, match="link-local"):
        destination.store.put(tmp_path / "model.tgz", "model.tgz")
    assert connection_attempts == []


@pytest.mark.parametrize("query", ["sp=w&sig=SECRET", "token=SECRET"])
def test_forbidden_address_of_the_model_is_refused_before_the_download(
    query: str, server: HttpServer, resolver: FakeResolver, tmp_path: Path
) -> None:
    resolver.answers["store.evil.example"] = [["169.254.169.254"]]
    (log := tmp_path / "termination-log").touch()
    urls = ["--annotations", server.serve("/a.csv", b""), "--model", f"https://store.evil.example/models?{query}"]
    assert main(["--plugin", "hello-world", *urls], log) == 64
    message = json.loads(log.read_bytes())
    assert message["reason"] == "AddressRefused"
    cause = "store.evil.example (169.254.169.254) is refused: that address is link-local"
    assert message["message"].startswith("The upload to https://store.evil.example/models")
    assert cause in message["message"]
    assert "SECRET" not in message["message"]
    assert server.requests == []


@pytest.mark.usefixtures("default_rules")
def test_listed_host_may_be_private_but_not_the_metadata_service(
    server: HttpServer, resolver: FakeResolver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOTT_ALLOWED_HOSTS", "*.corp.example")
    monkeypatch.setenv("VOTT_ALLOW_HTTP", "true")
    resolver.answers["store.corp.example"] = [["127.0.0.1"], ["169.254.169.254"]]
    url = f"http://store.corp.example:{server.url.rpartition(':')[2]}/status"
    post_callback(url, tmp_path)
    assert [request.path for request in server.requests] == ["/status"]
    assert "Nothing can allow it" in refusal(post_callback, url, tmp_path)


@pytest.mark.parametrize("send_request", REQUESTS)
def test_no_request_uses_a_proxy_or_a_password_from_the_environment(
    send_request: SendRequest, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password SECRET")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with HttpServer() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with contextlib.suppress(Exception):
            send_request(f"{server.url}/x", tmp_path)
    assert proxy.requests == []
    assert server.requests
    assert not [request for request in server.requests if "Authorization" in request.headers]
