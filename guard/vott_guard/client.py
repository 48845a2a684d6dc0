"""The HTTP client for URLs of messages: `requests`, held to the administrator's rules.

The rules check the address that the connection actually uses, which defeats DNS rebinding: a name that resolves differently
between a check and the connection.
"""

import os
import socket
import ssl
import time
from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from vott_guard.rules import RefusedError, Rules

CHUNK = 1 << 16
REDIRECTS = 5
MAX_ADDRESSES = 8  # tried for one name; all are checked
ENCODINGS = ("", "identity", "gzip", "deflate")


class TooLargeError(Exception):
    """A response is larger than its limit."""


class GuardedSession(requests.Session):
    """A session that connects only where the rules allow and uses no proxy of the environment. Thread-safe.

    A request with its whole response takes at most `seconds`. Methods raise RefusedError in addition to the errors of `requests`.
    REQUESTS_CA_BUNDLE may name the trusted certificates.
    """

    def __init__(self, rules: Rules, *, seconds: float, workers: int = 10, hosts: int | None = None) -> None:
        """`workers` threads use it at a time, for one of `hosts` at a time; default: as many as workers."""
        super().__init__()
        self.rules = rules
        self.trust_env = False
        self.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True  # `trust_env` would read it
        self.max_redirects = REDIRECTS
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(rules, seconds, workers, hosts or workers)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request and follow its redirects."""
        self.rules.check_url(request.url or "")
        response = super().send(request, **kwargs)
        _check_encoding(response)
        return response

    def resolve_redirects(self, resp: requests.Response, req: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Follow redirects within one server.

        With `allow_redirects=False`, `requests` prepares the next request all the same, which may raise.
        """
        return iter(()) if kwargs.get("yield_requests") else super().resolve_redirects(resp, req, *args, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return the target of a redirect.

        Raises:
            RefusedError: it is on another server.
        """
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        resp.close()  # otherwise `requests` reads the body, of any size
        if _origin(urljoin(resp.url, target)) != _origin(resp.url):
            raise RefusedError(
                urlsplit(resp.url).netloc, "it redirects to another server", "Send the link that it redirects to."
            )
        return target


def chunks(response: requests.Response, limit: int) -> Iterator[bytes]:
    """Yield the decoded body of a streamed response.

    Raises:
        TooLargeError: it is larger than `limit` bytes.
    """
    size = 0
    for chunk in response.iter_content(CHUNK):
        size += len(chunk)
        if size > limit:
            raise TooLargeError(f"larger than the limit of {limit:,} bytes")
        yield chunk


def read(response: requests.Response, limit: int) -> bytes:
    """Return the decoded body of a streamed response; raises as `chunks` does."""
    return b"".join(chunks(response, limit))


def status_text(status: int) -> str:
    """Return an HTTP status with the standard's phrase; the server's own may be any text of any length."""
    return f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)


def _check_encoding(response: requests.Response) -> None:
    """Refuse repeated compression, which multiplies the size of a decompression bomb."""
    if response.headers.get("Content-Encoding", "").strip().lower() not in ENCODINGS:
        response.close()
        raise requests.exceptions.ContentDecodingError("the response has an unusual content encoding")


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


class _Timed:
    """A socket with a deadline (time.monotonic) for all waits together: a timeout per read lets a slow server go on forever."""

    deadline = float("inf")

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._limit_timeout()
        return super().recv_into(*args, **kwargs)  # type: ignore[misc, no-any-return]

    def send(self, *args: Any, **kwargs: Any) -> int:
        self._limit_timeout()
        return super().send(*args, **kwargs)  # type: ignore[misc, no-any-return]

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self._limit_timeout()
        super().sendall(*args, **kwargs)  # type: ignore[misc]

    def _limit_timeout(self: Any) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time limit for the whole response is over")
        if (timeout := self.gettimeout()) is None or timeout > left:
            self.settimeout(left)


class _TimedSocket(_Timed, socket.socket):
    pass


class _TimedTLSSocket(_Timed, ssl.SSLSocket):
    pass


class _Guarded(HTTPConnection):
    rules: Rules
    seconds: float

    def _new_conn(self) -> socket.socket:
        """Connect to one of the host's addresses; the timeout covers all of them together."""
        end = time.monotonic() + (self.timeout or self.seconds)
        failure: Exception = NewConnectionError(self, "no connection (the name has no address)")
        for family, kind, protocol, _, address in self._addresses()[:MAX_ADDRESSES]:
            sock = _TimedSocket(family, kind, protocol)
            try:
                self._connect(sock, address, end)
            except TimeoutError:
                failure = ConnectTimeoutError(self, f"no connection within {self.timeout} seconds")
            except OSError as error:
                failure = NewConnectionError(self, f"no connection ({error.strerror})")
            except RefusedError:
                sock.close()
                raise
            else:
                return sock
            sock.close()
        raise failure

    def _connect(self, sock: socket.socket, address: Any, end: float) -> None:
        for option in self.socket_options or ():
            sock.setsockopt(*option)
        if (left := end - time.monotonic()) <= 0:
            raise TimeoutError
        sock.settimeout(left)
        sock.connect(address)
        sock.settimeout(self.timeout)  # TLS has a timeout of its own
        self.rules.check_address(self.host, sock.getpeername()[0])

    def _addresses(self) -> list[Any]:
        """Resolve the host once. One address that is not allowed refuses the host."""
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        for *_, address in found:
            self.rules.check_address(self.host, str(address[0]))
        return found

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._start_deadline()
        super().request(*args, **kwargs)

    def connect(self) -> None:
        super().connect()
        self._start_deadline()

    def _start_deadline(self) -> None:
        """Start the time limit of a request."""
        if isinstance(self.sock, _Timed):
            self.sock.deadline = time.monotonic() + self.seconds


class _GuardedTLS(_Guarded, HTTPSConnection):
    def connect(self) -> None:
        if self.ssl_context is None:
            trusted = self.ca_certs or self.ca_cert_dir
            self.ssl_context = _tls_context(trusted, Path(trusted).stat().st_mtime_ns if trusted else 0)
            self.ca_certs = self.ca_cert_dir = None  # urllib3 would load them again
        super().connect()


@lru_cache(maxsize=4)
def _tls_context(trusted: str | None, _changed: int) -> ssl.SSLContext:
    """The context of all connections that trust this file or folder: loading it takes 1 MB and 30 ms of CPU time.

    A folder's certificates are read when one is needed, a file's when the context is made, again after a change.
    """
    context = create_urllib3_context()
    context.sslsocket_class = _TimedTLSSocket
    if trusted:
        kind = "capath" if Path(trusted).is_dir() else "cafile"
        context.load_verify_locations(**{kind: trusted})
    return context


class _Adapter(HTTPAdapter):
    """Opens guarded connections only."""

    def __init__(self, rules: Rules, seconds: float, workers: int, hosts: int) -> None:
        self._guard = {"rules": rules, "seconds": seconds}
        super().__init__(pool_connections=hosts, pool_maxsize=workers)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        plain = type("Connection", (_Guarded,), self._guard)
        secure = type("TLSConnection", (_GuardedTLS,), self._guard)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("TLSPool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }

    def proxy_manager_for(self, *_: Any, **__: Any) -> Any:
        raise requests.exceptions.ProxyError("a proxy would connect to unchecked addresses")
