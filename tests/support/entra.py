"""The part of Microsoft Entra that a workload identity needs: exchange a pod's token for an access token (RFC 7523, section 2.2)."""

import base64
import json
import ssl
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qs

from localcluster.pki import Authority

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
RESOURCE = "https://storage.azure.com"


@dataclass
class Entra:
    """An https server that issues a token for each of the `trusted` assertions, within the `with` block."""

    authority: Authority
    folder: Path
    trusted: set[str] = field(default_factory=lambda: {"the pod's token"})
    requests: list[dict[str, str]] = field(default_factory=list)
    """Forms posted to the token endpoint."""

    def __enter__(self) -> Self:
        pair = self.authority.server("entra", ["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, token: str = "the pod's token") -> dict[str, str]:
        """Environment that the AKS webhook sets in a pod, and the CA to trust."""
        file = self.folder / "token"
        file.write_text(token)
        return {
            "AZURE_AUTHORITY_HOST": f"https://127.0.0.1:{self._server.server_port}/",
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_FEDERATED_TOKEN_FILE": str(file),
            "SSL_CERT_FILE": str(self.authority.certificate),
        }

    def answer(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and body of the response to a form posted to the token endpoint."""
        self.requests.append(form)
        if form.get("client_assertion") in self.trusted and form.get("client_id") == CLIENT:
            return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": _token()}
        text = "AADSTS700213: No matching federated identity record found for presented assertion subject."
        return 401, {"error": "invalid_client", "error_description": text}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        entra = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, body = entra.answer({name: values[0] for name, values in parse_qs(text).items()})
                content = json.dumps(body).encode()
                self.send_response(status if self.path == f"/{TENANT}/oauth2/v2.0/token" else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Keep the tests' output clean."""

        return Handler


def _token() -> str:
    """An access token with the claims that Azurite checks; it checks no signature."""
    now = int(time.time())
    claims = {
        "aud": RESOURCE,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
    }
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])
