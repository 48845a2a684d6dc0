"""Azurite, the Azure Storage emulator: its command line, and a private instance for tests."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from localcluster.azurite_install import azurite_command
from localcluster.child_programs import ChildPrograms
from localcluster.http_probe import answers
from localcluster.pki import Authority
from localcluster.ports import free_ports
from localcluster.program import Program

ACCOUNT = "devstoreaccount1"
# Azurite's well-known key, which is public
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_REFUSED = frozenset({400, 403})  # response to a request without credentials: it works


def azurite_program(
    host: str,
    blob_port: int,
    queue_port: int,
    table_port: int,
    data: Path,
    authority: Authority | None = None,
    names: Sequence[str] = (),
) -> Program:
    """Azurite on one address. Its table service is unused but can't be disabled.

    With an authority it serves https and accepts Entra tokens; it checks their claims, not their signature. Its certificate is also for
    `names`, which begin with the account as Azure's do.
    """
    data.mkdir(parents=True, exist_ok=True)
    ports = {"blob": blob_port, "queue": queue_port, "table": table_port}
    listen = [
        flag for service, port in ports.items() for flag in (f"--{service}Host", host, f"--{service}Port", str(port))
    ]
    # --loose: newer clients send unknown headers
    switches = ["--silent", "--loose", "--skipApiVersionCheck", "--disableTelemetry"]
    if not names:
        switches += ["--disableProductStyleUrl"]  # else it parses the account from the host name
    if authority:
        pair = authority.server("azurite", [host, *names])
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
    """Connection string for Azure's clients."""
    parts = {
        "DefaultEndpointsProtocol": scheme,
        "AccountName": ACCOUNT,
        "AccountKey": ACCOUNT_KEY,
        "BlobEndpoint": f"{scheme}://{host}:{blob_port}/{ACCOUNT}",
        "QueueEndpoint": f"{scheme}://{host}:{queue_port}/{ACCOUNT}",
    }
    return ";".join(f"{name}={value}" for name, value in parts.items()) + ";"


class Azurite:
    """A private Azurite on free ports with its own data; it ends with this process at the latest.

    Use it as a context manager, or call :meth:`stop`.

    Args:
        authority: If given, Azurite serves https with a certificate from it, and accepts Entra tokens too.
        names: Host names that also lead here, such as ACCOUNT.queue.core.windows.net. They need the authority.

    Raises:
        LocalClusterError: Azurite can't be installed, or doesn't start.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        blob_port: int | None = None,
        queue_port: int | None = None,
        authority: Authority | None = None,
        names: Sequence[str] = (),
    ) -> None:
        free_blob, free_queue, table = free_ports(3, host)
        self.host = host
        self.blob_port = blob_port or free_blob
        self.queue_port = queue_port or free_queue
        self._folder = tempfile.TemporaryDirectory(prefix="vott-azurite-")
        root = Path(self._folder.name)
        self._programs = ChildPrograms(root)
        self._authority = authority
        ports = (self.blob_port, self.queue_port, table)
        try:
            self._programs.start(azurite_program(host, *ports, root / "data", authority, names))
        except BaseException:
            self.stop()
            raise

    @property
    def connection_string(self) -> str:
        """Connection string for Azure's clients; unchanged by a restart."""
        return connection_string(self.host, self.blob_port, self.queue_port, _scheme(self._authority))

    @property
    def queue_service(self) -> str:
        """URL of the account's queue service."""
        return f"{_scheme(self._authority)}://{self.host}:{self.queue_port}/{ACCOUNT}"

    def kill(self) -> None:
        """Kill it like a crash. It saves its tables every five seconds, so requests acknowledged since then are lost."""
        self._programs.kill("azurite")

    def restart(self) -> None:
        """Restart it on the same ports with the same data."""
        self._programs.restart("azurite")

    def stop(self) -> None:
        """Stop it and delete its data."""
        self._programs.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
