"""The guarded client against hostile servers and DNS names, over real sockets."""

import gzip
import ipaddress
import itertools
import socket
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from localcluster.pki import Authority
from localcluster.ports import free_ports
from tests.unit.guard.servers import response, responses, server
from vott_guard.client import GuardedSession, TooLargeError, _TimedSocket, _tls_context, chunks, read
from vott_guard.rules import RefusedError, Rules

LOCAL = Rules(allow_http=True, networks=(ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1")))
"""Rules that allow the tests' own servers."""
Names = dict[str, list[list[str]]]


def session(rules: Rules = LOCAL, seconds: float = 20, **options: Any) -> GuardedSession:
    client = GuardedSession(rules, seconds=seconds)
    for name, value in options.items():
        setattr(client, name, value)
    return client


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Names with their addresses at each lookup, the last entry for all further ones. Other names resolve as usual."""
    addresses_of: Names = {}
    real = socket.getaddrinfo

    def lookup(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host not in addresses_of:
            return real(host, port, *arguments, **options)
        answers = addresses_of[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [entry for address in addresses for entry in real(address, port, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return addresses_of


def test_an_allowed_server_answers() -> None:
    with server(responses(response(b"hello"))) as port:
        assert session().get(f"http://127.0.0.1:{port}/").content == b"hello"


def test_connections_are_reused() -> None:
    ports: list[int] = []

    def behave(connection: socket.socket, _head: bytes) -> None:
        ports.append(connection.getpeername()[1])
        connection.sendall(response(b"hello"))

    with server(behave) as port, session() as one:
        for _ in range(3):
            assert one.get(f"http://127.0.0.1:{port}/").ok
    assert len(ports) == 3
    assert len(set(ports)) == 1


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://127.0.0.1:{port}/", "only https"),
        ("https://user:pass@127.0.0.1:{port}/", "user name or password"),
        ("https://127.0.0.1:22/", "belongs to another service"),
    ],
)
def test_a_url_is_checked_before_anything_is_sent(url: str, rule: str) -> None:
    rules = Rules(networks=LOCAL.networks)
    with server(responses(response(b"hello"))) as port, pytest.raises(RefusedError, match=rule):
        session(rules).get(url.format(port=port))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "127.0.0.1", "10.0.0.1", "100.64.0.1", "::1", "fe80::1", "::ffff:a00:1", "0.0.0.0"],
)
def test_a_name_with_an_internal_address_is_refused(names: Names, scheme: str, address: str) -> None:
    names["looks-good.test"] = [[address]]
    with pytest.raises(RefusedError) as refused:
        session(Rules(allow_http=True)).get(f"{scheme}://looks-good.test/")
    assert refused.value.where == f"looks-good.test ({address})"


def test_a_name_that_changes_between_two_lookups_gains_nothing(names: Names) -> None:
    with server(responses(response(b"secret"))) as port:
        for first in ("8.8.8.8", "127.0.0.1"):
            names["changes.test"] = [[first], ["169.254.169.254"], ["127.0.0.1"]]
            one = session(Rules(allow_http=True), seconds=2)
            for _ in range(3):
                with pytest.raises((RefusedError, requests.RequestException)) as error:
                    one.get(f"http://changes.test:{port}/", timeout=0.2)
                assert "secret" not in str(error.value)


def test_one_refused_address_refuses_the_name(names: Names) -> None:
    with server(responses(response(b"hello"))) as port:
        names["mixed.test"] = [["127.0.0.1", "169.254.169.254"]]
        with pytest.raises(RefusedError, match=r"169\.254\.169\.254"):
            session().get(f"http://mixed.test:{port}/")


def test_the_connected_address_is_checked_whatever_the_lookup_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "getpeername", lambda _self: ("169.254.169.254", 80))
    with server(responses(response(b"secret"))) as port, pytest.raises(RefusedError, match=r"169\.254\.169\.254"):
        session().get(f"http://127.0.0.1:{port}/")


def test_a_listed_host_may_have_an_internal_address(names: Names) -> None:
    with server(responses(response(b"hello"))) as port:
        names["store.cluster.local"] = [["127.0.0.1"]]
        rules = Rules(allow_http=True, hosts=("store.cluster.local",))
        assert session(rules).get(f"http://store.cluster.local:{port}/").ok


def test_the_connect_timeout_covers_all_addresses_of_a_name(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a name with thousands of them occupies a thread for hours."""
    times: list[float | None] = []

    def never(self: socket.socket, _address: Any) -> None:
        times.append(self.gettimeout())
        time.sleep(0.05)
        raise TimeoutError

    monkeypatch.setattr(_TimedSocket, "connect", never, raising=False)
    names["many.test"] = [[f"127.0.1.{number}" for number in range(1, 200)]]
    with pytest.raises(requests.ConnectTimeout):
        session().get("http://many.test:8080/", timeout=0.2)
    timeouts = [timeout for timeout in times if timeout is not None]
    assert timeouts == sorted(timeouts, reverse=True)
    assert len(timeouts) <= 4  # 0.2 s at 0.05 s each


def test_few_of_many_addresses_are_tried_and_all_are_checked(names: Names) -> None:
    names["many.test"] = [[f"127.0.1.{number}" for number in range(1, 200)]]
    with pytest.raises(requests.ConnectionError):
        session().get(f"http://many.test:{free_ports(1)[0]}/")
    names["many.test"] = [[*(f"127.0.1.{number}" for number in range(1, 200)), "169.254.169.254"]]
    with pytest.raises(RefusedError):
        session().get("http://many.test:8080/")


def test_the_next_address_is_tried_if_the_first_does_not_response(names: Names) -> None:
    with server(responses(response(b"hello"))) as port:
        names["two.test"] = [["::1", "127.0.0.1"]]  # nothing listens at the first
        assert session().get(f"http://two.test:{port}/").ok


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest",
        "https://elsewhere.test/",
        "//elsewhere.test/",
        "http://127.0.0.1:1/",
        "http://127.0.0.2:{port}/",
        "http://localhost:{port}/",
        "https://127.0.0.1:{port}/",
        "http://user@127.0.0.1:1/",
    ],
)
def test_redirects_to_elsewhere_are_refused(status: str, target: str) -> None:
    with (
        server(
            lambda connection, _: connection.sendall(response(status=status, Location=target.format(port=port)))
        ) as port,
        pytest.raises(RefusedError, match="redirects to another server"),
    ):
        session().get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:1/"])
def test_redirects_to_other_protocols_are_refused(target: str) -> None:
    with server(responses(response(status="302 Found", Location=target))) as port, pytest.raises(RefusedError):
        session().get(f"http://127.0.0.1:{port}/")


def test_redirects_within_a_server_are_followed_a_few_times() -> None:
    with server(responses(response(status="302 Found", Location="/b"), response(b"hello"))) as port:
        assert session().get(f"http://127.0.0.1:{port}/a").content == b"hello"
    with (
        server(responses(response(status="302 Found", Location="/again"))) as port,
        pytest.raises(requests.TooManyRedirects),
    ):
        session().get(f"http://127.0.0.1:{port}/")


def test_the_body_of_a_redirect_is_not_read() -> None:
    def behave(connection: socket.socket, head: bytes) -> None:
        if b"/b" in head:
            connection.sendall(response(b"hello"))
            return
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")
        while True:
            connection.sendall(bytes(65536))

    with server(behave) as port:
        assert session().get(f"http://127.0.0.1:{port}/a", stream=True).content == b"hello"


def test_a_redirect_that_is_not_followed_is_returned() -> None:
    with server(responses(response(status="302 Found", Location="http://169.254.169.254/"))) as port:
        assert session().get(f"http://127.0.0.1:{port}/", allow_redirects=False).status_code == 302


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with server(responses(response(b"hello"))) as port:
        assert session().get(f"http://127.0.0.1:{port}/").ok


def test_a_proxy_can_not_bypass_the_rules() -> None:
    with server(responses(response(b"hello"))) as port, pytest.raises(requests.exceptions.ProxyError):
        session().get("http://127.0.0.2/", proxies={"http": f"http://127.0.0.1:{port}"})


def test_cookies_are_not_kept() -> None:
    heads: list[bytes] = []

    def behave(connection: socket.socket, head: bytes) -> None:
        heads.append(head)
        connection.sendall(response(b"", Set_Cookie="who=1"))

    with server(behave) as port, session() as one:
        one.get(f"http://127.0.0.1:{port}/")
        one.get(f"http://127.0.0.1:{port}/")
    assert not any(b"Cookie" in head for head in heads)


def dripping(start: bytes, piece: bytes) -> Callable[[socket.socket, bytes], None]:
    def behave(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(start)
        for _ in itertools.count():
            connection.sendall(piece)
            time.sleep(0.1)

    return behave


@dataclass(frozen=True)
class Trust:
    """A server's certificate, and its authority's bundle."""

    tls: ssl.SSLContext
    bundle: str


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    authority = Authority(tmp_path_factory.mktemp("pki"))
    pair = authority.server("server", ["127.0.0.1", "store.test"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    return Trust(tls, str(authority.certificate))


@pytest.mark.parametrize(
    "behave",
    [
        dripping(b"", b"H"),
        dripping(b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nx: ", b"1"),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"1"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"1"),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda _connection, _head: time.sleep(30),
    ],
    ids=["status", "headers", "a header", "body", "announced body", "chunks", "continue", "nothing"],
)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_slow_server_is_abandoned(behave: Callable[[socket.socket, bytes], None], secure: bool, trust: Trust) -> None:
    with server(behave, trust.tls if secure else None) as port:
        one = session(seconds=0.3, verify=trust.bundle)
        scheme, began = "https" if secure else "http", time.monotonic()
        with pytest.raises(requests.RequestException):
            read(one.get(f"{scheme}://127.0.0.1:{port}/", stream=True, timeout=20), 1 << 20)
        assert time.monotonic() - began < 15  # not the 20 s for each wait, which would end a silent one as well


def test_certificates_are_checked(trust: Trust, names: Names) -> None:
    names["store.test"] = names["other.test"] = [["127.0.0.1"]]
    with server(responses(response(b"hello")), trust.tls) as port:
        assert session(verify=trust.bundle).get(f"https://store.test:{port}/").ok
        for one, host in ((session(), "store.test"), (session(verify=trust.bundle), "other.test")):
            with pytest.raises(requests.exceptions.SSLError):
                one.get(f"https://{host}:{port}/")


def test_connections_share_the_certificates_that_they_trust(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[object] = []
    real = ssl.SSLContext.load_verify_locations

    def load(context: ssl.SSLContext, *arguments: Any, **options: Any) -> None:
        loads.append(options)
        real(context, *arguments, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load)
    _tls_context.cache_clear()
    with server(responses(response(b"hello")), trust.tls) as port:
        for _ in range(3):
            assert session(verify=trust.bundle).get(f"https://127.0.0.1:{port}/").ok
    assert loads == [{"cafile": trust.bundle}]


def test_certificates_that_were_replaced_are_read_again(trust: Trust, tmp_path: Path) -> None:
    bundle, other = tmp_path / "ca.crt", Authority(tmp_path / "other")
    bundle.write_bytes(other.certificate.read_bytes())
    one = session(verify=str(bundle))
    with server(responses(response(b"hello")), trust.tls) as port:
        with pytest.raises(requests.exceptions.SSLError):
            one.get(f"https://127.0.0.1:{port}/")
        bundle.write_bytes(Path(trust.bundle).read_bytes())
        assert one.get(f"https://127.0.0.1:{port}/").ok


def test_the_environment_may_name_a_private_authority(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", trust.bundle)
    with server(responses(response(b"hello")), trust.tls) as port:
        assert session().get(f"https://127.0.0.1:{port}/").ok


def test_an_upload_that_is_not_read_ends_in_time() -> None:
    with server(lambda _connection, _head: time.sleep(30)) as port, pytest.raises(requests.RequestException):
        session(seconds=0.3).put(f"http://127.0.0.1:{port}/", data=b"x" * (64 << 20), timeout=None)


def fetch(one: GuardedSession, port: int, limit: int) -> int:
    with one.get(f"http://127.0.0.1:{port}/", stream=True) as response:
        return sum(map(len, chunks(response, limit)))


def test_a_body_may_be_as_large_as_its_limit_and_no_larger() -> None:
    with server(responses(response(b"x" * 100_000))) as port:
        assert fetch(session(), port, 100_000) == 100_000
        with pytest.raises(TooLargeError, match="limit of 99,999 bytes"):
            fetch(session(), port, 99_999)


def test_an_endless_body_ends_at_the_limit() -> None:
    def behave(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with server(behave) as port, pytest.raises(TooLargeError):
        fetch(session(), port, 1 << 20)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_decompression_bomb_ends_at_the_limit_in_little_memory(
    encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    bomb = response(compress(bytes(256 << 20)), Content_Encoding=encoding)
    with server(responses(bomb)) as port:
        tracemalloc.start()
        with pytest.raises(TooLargeError):
            fetch(session(), port, 1 << 20)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,gzip,gzip,gzip", "br", "zstd", "compress", "x-gzip, deflate"])
def test_repeated_and_unusual_compression_is_refused(encoding: str) -> None:
    twice = response(gzip.compress(gzip.compress(b"hello")), Content_Encoding=encoding)
    with server(responses(twice)) as port, pytest.raises(requests.exceptions.ContentDecodingError):
        fetch(session(), port, 1 << 20)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx",  # shorter than announced
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"1" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: 1\r\n" * 1000 + b"\r\n",
        b"SSH-2.0-server\r\n\r\n",
        b"\x00" * 100_000,
    ],
    ids=["short", "bad chunk", "long header", "many headers", "another protocol", "zeros"],
)
def test_a_response_that_is_not_http_is_an_ordinary_error(raw: bytes) -> None:
    def behave(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_RDWR)

    with server(behave) as port, pytest.raises(requests.RequestException):
        fetch(session(), port, 1 << 20)


def test_a_session_is_thread_safe() -> None:
    with server(responses(response(b"x" * 1000))) as port, ThreadPoolExecutor(8) as pool:
        one = session()
        assert list(pool.map(lambda _: fetch(one, port, 1000), range(40))) == [1000] * 40
