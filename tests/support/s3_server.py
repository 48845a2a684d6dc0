"""An S3 server (moto's, with IAM and STS) for tests, in its own virtual environment.

moto's dependencies conflict with the project's; `requirements/moto.txt` pins them by hash.
"""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import requests

from localcluster.build_cache import build_once, content_key
from localcluster.child_programs import ChildPrograms
from localcluster.http_probe import answers
from localcluster.paths import CHECKOUT
from localcluster.pki import Authority
from localcluster.ports import free_ports
from localcluster.program import Program

LOCK = CHECKOUT / "requirements" / "moto.txt"
REGION = "us-east-1"
NO_CHECKS = 10**9  # requests until moto checks permissions


@cache
def moto_server() -> str:
    """Path of moto's server; installed if missing."""
    with build_once("moto", content_key(LOCK.read_bytes(), sys.version)) as build:
        if build.is_needed:
            uv, python = str(Path(sys.executable).with_name("uv")), str(build.folder / "bin" / "python")
            environment = [uv, "venv", "--quiet", "--python", sys.executable, "--allow-existing", str(build.folder)]
            subprocess.run(environment, check=True)
            install = [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(LOCK)]
            subprocess.run(install, check=True)
    return str(build.folder / "bin" / "moto_server")


@dataclass(frozen=True)
class Keys:
    """Access keys of a user."""

    access_key_id: str
    secret_access_key: str


ANY_KEYS = Keys("anybody", "secret")


class S3Server:
    """A private server on a free port, without persistence; with an authority it serves https."""

    def __init__(self, authority: Authority | None = None, host: str = "127.0.0.1") -> None:
        (port,) = free_ports(1)
        self.url = f"{'https' if authority else 'http'}://{host}:{port}"
        self._folder = tempfile.TemporaryDirectory(prefix="vott-moto-")
        self._programs = ChildPrograms(Path(self._folder.name))
        command = [moto_server(), "-H", host, "-p", str(port)]
        ca = authority.certificate if authority else None
        if authority:
            pair = authority.server("moto", [host])
            command += ["-s", "-c", str(pair.certificate), "-k", str(pair.key)]
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = _credential("s3")
        self._session.verify = str(ca) if ca else True
        try:
            self._programs.start(Program("moto", tuple(command), lambda: answers(f"{self.url}/moto-api/", ca)))
        except BaseException:
            self.stop()
            raise

    def environment(self, keys: Keys = ANY_KEYS) -> dict[str, str]:
        """Environment variables that give the trainer access."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            "AWS_REGION": REGION,
        }

    def bucket(self, name: str) -> str:
        """Create a bucket and return its name."""
        self._request("PUT", f"/{name}")
        return name

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store an object."""
        self._request("PUT", f"/{bucket}/{quote(key)}", data=content)

    def keys_in(self, bucket: str) -> list[str]:
        """Keys of a bucket's objects."""
        return re.findall(r"<Key>([^<]*)</Key>", self._request("GET", f"/{bucket}?list-type=2").text)

    def unfinished_uploads(self, bucket: str) -> list[str]:
        """Keys of multipart uploads that are neither completed nor aborted."""
        return re.findall(r"<Key>([^<]*)</Key>", self._request("GET", f"/{bucket}?uploads").text)

    def content(self, bucket: str, key: str) -> bytes:
        """Content of an object."""
        return self._request("GET", f"/{bucket}/{quote(key)}").content

    def headers(self, bucket: str, key: str) -> dict[str, str]:
        """Headers of an object, including its checksum."""
        return dict(
            self._request("HEAD", f"/{bucket}/{quote(key)}", headers={"x-amz-checksum-mode": "ENABLED"}).headers
        )

    def user(self, name: str, *, allow: list[str], resource: str = "*") -> Keys:
        """Create a user with only these permissions, such as `s3:PutObject`; return their keys."""
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": allow, "Resource": resource}]}
        self._iam("CreateUser", UserName=name)
        self._iam("PutUserPolicy", UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        response = self._iam("CreateAccessKey", UserName=name)
        return Keys(_element("AccessKeyId", response), _element("SecretAccessKey", response))

    def check_permissions(self, *, on: bool) -> None:
        """Turn the check of signatures and permissions on or off; it is off at the start."""
        self._request("POST", "/moto-api/reset-auth", data=str(0 if on else NO_CHECKS))

    def _iam(self, action: str, **fields: str) -> str:
        form = {"Action": action, "Version": "2010-05-08", **fields}
        return self._request("POST", "/", data=form, headers={"Authorization": _credential("iam")}).text

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._session.request(method, f"{self.url}{path}", timeout=30, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def kill(self) -> None:
        """Kill the server; its data is lost."""
        self._programs.kill("moto")

    def stop(self) -> None:
        """Stop it and delete its data."""
        self._session.close()
        self._programs.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _credential(service: str) -> str:
    """Authorization header that selects the service; it needs no valid signature while nothing is checked."""
    return (
        f"AWS4-HMAC-SHA256 Credential=anybody/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )


def _element(name: str, xml: str) -> str:
    found = re.search(f"<{name}>([^<]+)</{name}>", xml)
    assert found, xml
    return found[1]
