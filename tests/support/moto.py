"""moto's server: S3 (and the IAM and STS that it needs) with real HTTP, in a virtual environment of its own.

Its dependencies do not go together with the project's; `requirements/moto.txt` pins them by hash.
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
NO_CHECKS = 10**9  # so many requests pass unchecked


@cache
def moto_server() -> str:
    """The program, after installing it where that is still to be done."""
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
    """Of a user."""

    access_key_id: str
    secret_access_key: str


ANYBODY = Keys("anybody", "secret")


class Moto:
    """A private server on a free port; its data ends with it. With an authority it speaks https."""

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
        self._programs.start(Program("moto", tuple(command), lambda: answers(f"{self.url}/moto-api/", ca)))

    def environment(self, keys: Keys = ANYBODY) -> dict[str, str]:
        """What the administrator sets for the trainer."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            "AWS_REGION": REGION,
        }

    def bucket(self, name: str) -> str:
        """Make a bucket."""
        self._ask("PUT", f"/{name}")
        return name

    def keys_in(self, bucket: str) -> list[str]:
        """The names of a bucket's objects."""
        return re.findall(r"<Key>([^<]*)</Key>", self._ask("GET", f"/{bucket}?list-type=2").text)

    def unfinished_uploads(self, bucket: str) -> list[str]:
        """The names of what was begun in parts, and is neither whole nor given up."""
        return re.findall(r"<Key>([^<]*)</Key>", self._ask("GET", f"/{bucket}?uploads").text)

    def content(self, bucket: str, key: str) -> bytes:
        """What an object holds."""
        return self._ask("GET", f"/{bucket}/{quote(key)}").content

    def headers(self, bucket: str, key: str) -> dict[str, str]:
        """What is told of an object, with its checksum."""
        return dict(self._ask("HEAD", f"/{bucket}/{quote(key)}", headers={"x-amz-checksum-mode": "ENABLED"}).headers)

    def user(self, name: str, *, allow: list[str], resource: str = "*") -> Keys:
        """A user who may do just these things, such as `s3:PutObject`."""
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": allow, "Resource": resource}]}
        self._iam("CreateUser", UserName=name)
        self._iam("PutUserPolicy", UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        made = self._iam("CreateAccessKey", UserName=name)
        return Keys(_element("AccessKeyId", made), _element("SecretAccessKey", made))

    def check_permissions(self, *, on: bool) -> None:
        """From now on look at signatures and permissions, or take everything, as at first."""
        self._ask("POST", "/moto-api/reset-auth", data=str(0 if on else NO_CHECKS))

    def _iam(self, action: str, **fields: str) -> str:
        form = {"Action": action, "Version": "2010-05-08", **fields}
        return self._ask("POST", "/", data=form, headers={"Authorization": _credential("iam")}).text

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._session.request(method, f"{self.url}{path}", timeout=30, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def kill(self) -> None:
        """End it as a crash would; all is lost."""
        self._programs.kill("moto")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()
        self._programs.stop()
        self._folder.cleanup()


def _credential(service: str) -> str:
    """From this the server sees which service is meant; while nothing is checked it need not be signed."""
    return (
        f"AWS4-HMAC-SHA256 Credential=anybody/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )


def _element(name: str, xml: str) -> str:
    found = re.search(f"<{name}>([^<]+)</{name}>", xml)
    assert found, xml
    return found[1]
