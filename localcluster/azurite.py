"""Azurite, Azure Storage's emulator: its command line, and a private one for tests."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from localcluster.azurite_install import azurite_command
from localcluster.guarded_programs import GuardedPrograms
from localcluster.http_probe import answers
from localcluster.pki import Authority
from localcluster.ports import free_ports
from localcluster.processes import Program

ACCOUNT = "devstoreaccount1"
# Azurite's well-known key: public, and the same everywhere
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_REFUSED = frozenset({400, 403})  # what it answers to a request without credentials: it works


def azurite_program(
    host: str, blob_port: int, queue_port: int, table_port: int, data: Path, authority: Authority | None = None
) -> Program:
    """Azurite on one address; its table service is not used, but can't be left out.

    With an authority it speaks https, and takes Entra's tokens too: it looks at their claims, not at their signature.
    """
    data.mkdir(parents=True, exist_ok=True)
    places = {"blob": blob_port, "queue": queue_port, "table": table_port}
    listen = [
        flag for service, port in places.items() for flag in (f"--{service}Host", host, f"--{service}Port", str(port))
    ]
    # --loose: newer clients send headers that it does not know; --disableProductStyleUrl: else it takes part of an address for the account
    switches = ["--silent", "--loose", "--skipApiVersionCheck", "--disableTelemetry", "--disableProductStyleUrl"]
    if authority:
        pair = authority.server("azurite", [host])
        switches += ["--cert", str(pair.certificate), "--key", str(pair.key), "--oauth", "basic"]
    command = (*azurite_command(), "--location", str(data), *listen, *switches)
    blob, queue = (f"{_scheme(authority)}://{host}:{port}" for port in (blob_port, queue_port))
    ca = authority.certificate if authority else None

    def is_ready() -> bool:
        return all(answers(f"{url}/{ACCOUNT}?comp=list", ca, accept=_REFUSED) for url in (blob, queue))

    return Program("azurite", command, is_ready, f"blob {blob}, queue {queue}")


def _scheme(authority: Authority | None) -> str:
    return "https" if authority else "http"


def connection_string(host: str, blob_port: int, queue_port: int, scheme: str = "http") -> str:
    """What Azure's clients connect with."""
    parts = {
        "DefaultEndpointsProtocol": scheme,
        "AccountName": ACCOUNT,
        "AccountKey": ACCOUNT_KEY,
        "BlobEndpoint": f"{scheme}://{host}:{blob_port}/{ACCOUNT}",
        "QueueEndpoint": f"{scheme}://{host}:{queue_port}/{ACCOUNT}",
    }
    return ";".join(f"{name}={value}" for name, value in parts.items()) + ";"


class Azurite:
    """A private Azurite on free ports with data of its own; ends with this process at the latest.

    Use it as a context manager, or call :meth:`stop`.

    Args:
        authority: when given, it speaks https with a certificate of this one, and takes Entra's tokens too.

    Raises:
        LocalClusterError: Azurite can't be installed or does not start.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        blob_port: int | None = None,
        queue_port: int | None = None,
        authority: Authority | None = None,
    ) -> None:
        free_blob, free_queue, table = free_ports(3, host)
        self.host = host
        self.blob_port = blob_port or free_blob
        self.queue_port = queue_port or free_queue
        self._folder = tempfile.TemporaryDirectory(prefix="vott-azurite-")
        root = Path(self._folder.name)
        self._programs = GuardedPrograms(root)
        self._authority = authority
        ports = (self.blob_port, self.queue_port, table)
        self._programs.start(azurite_program(host, *ports, root / "data", authority))

    @property
    def connection_string(self) -> str:
        """What Azure's clients connect with; the same after a restart."""
        return connection_string(self.host, self.blob_port, self.queue_port, _scheme(self._authority))

    @property
    def queue_service(self) -> str:
        """URL of the account's queue service."""
        return f"{_scheme(self._authority)}://{self.host}:{self.queue_port}/{ACCOUNT}"

    def kill(self) -> None:
        """End it as a crash would. It writes its tables every five seconds: what it acknowledged since then is lost."""
        self._programs.kill("azurite")

    def restart(self) -> None:
        """Start it again on the same ports with the same data."""
        self._programs.restart("azurite")

    def stop(self) -> None:
        """End it and forget its data."""
        self._programs.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
