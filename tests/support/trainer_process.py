"""The trainer as a local process, without Kubernetes."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vott_guard.rules import Rules, network

CHECKOUT = Path(__file__).parents[2]
ALLOWED = Rules(allow_http=True, networks=(network("127.0.0.0/8"),)).to_environment()
"""Rules that permit the tests' own servers, which use http on the loopback interface."""
PYTHONPATH = f"{CHECKOUT / 'trainer-image'}:{CHECKOUT / 'guard'}"


def train_locally(annotations: str, model: str, **parameters: object) -> None:
    """Train a detector with annotations and destination on one server; fail with the trainer's output."""
    arguments = [f"--annotations={annotations}", f"--model={model}", f"--parameters={json.dumps(parameters)}"]
    command = [sys.executable, "-m", "vott_trainer", "--plugin=detection", *arguments]
    rules = Rules(allow_http=True, networks=(network(urlsplit(annotations).hostname or ""),))
    environment = os.environ | rules.to_environment() | {"PYTHONPATH": PYTHONPATH}
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@contextlib.contextmanager
def local_servers_allowed() -> Iterator[None]:
    """Set `ALLOWED` in the environment within the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ALLOWED.items():
            patch.setenv(name, value)
        yield
