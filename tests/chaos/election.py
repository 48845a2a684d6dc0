"""Who leads, asked directly and often."""

import time
from pathlib import Path

import requests
import yaml

from tests.support.corner import Corner

TIMEOUT_SECONDS = 2
POLL_SECONDS = 0.1


class Election:
    """The Lease of the operators in a corner."""

    def __init__(self, corner: Corner, folder: Path) -> None:
        server, name = corner.control_plane.server, "vott-train"
        self._url = f"{server}/apis/coordination.k8s.io/v1/namespaces/{corner.name}/leases/{name}"
        user = yaml.safe_load(corner.control_plane.kubeconfig.read_text())["users"][0]["user"]
        self._session = requests.Session()
        self._session.verify = str(corner.authority())
        self._session.cert = (str(folder / "admin.crt"), str(folder / "admin.key"))
        for file, field in zip(self._session.cert, ("client-certificate-data", "client-key-data"), strict=True):
            Path(file).write_bytes(corner.decoded(user[field]))

    def holder(self) -> str:
        """Identity of the operator that holds the Lease; empty when nobody does, or the API server does not answer."""
        try:
            lease = self._session.get(self._url, timeout=TIMEOUT_SECONDS)
            return str(lease.json()["spec"].get("holderIdentity") or "") if lease.ok else ""
        except (requests.RequestException, ValueError):
            return ""

    def wait_for_other(self, than: str, seconds: float) -> bool:
        """Whether somebody else than that holder leads within the time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.holder() not in ("", than):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> "Election":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
