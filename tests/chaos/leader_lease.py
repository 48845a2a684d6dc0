"""Poll the Lease for the current leader, past the proxies."""

import json
import ssl
import time
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.support.operator_harness import OperatorHarness

TIMEOUT_SECONDS = 2
POLL_SECONDS = 0.1


class LeaderLease:
    """The Lease of a harness's operators."""

    def __init__(self, harness: OperatorHarness, folder: Path) -> None:
        self._server = urlsplit(harness.control_plane.server).netloc
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{harness.name}/leases/vott-train"
        user = yaml.safe_load(harness.control_plane.kubeconfig.read_text())["users"][0]["user"]
        pem = folder / "admin.pem"
        pem.write_bytes(b"".join(harness.decoded(user[f"client-{part}-data"]) for part in ("certificate", "key")))
        self._tls = ssl.create_default_context(cafile=str(harness.authority()))
        self._tls.load_cert_chain(pem)

    def holder(self) -> str:
        """Identity of the leader; empty if there is none or the API server does not respond."""
        connection = HTTPSConnection(self._server, timeout=TIMEOUT_SECONDS, context=self._tls)
        try:
            connection.request("GET", self._path)
            lease = json.loads(connection.getresponse().read())
            return str(lease.get("spec", {}).get("holderIdentity") or "")
        except (OSError, HTTPException, ValueError):
            return ""
        finally:
            connection.close()

    def wait_for_other_holder(self, previous: str, seconds: float) -> bool:
        """Whether an operator other than `previous` leads within the time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.holder() not in ("", previous):
                return True
            time.sleep(POLL_SECONDS)
        return False
