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
    rules = Rules(allow_http=True, networks=(network(urlsplit(annotations).hostname or ""),))
    environment = os.environ | rules.to_environment() | {"PYTHONPATH": PYTHONPATH}
    command = trainer_command("--plugin=detection", *arguments)
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@contextlib.contextmanager
def local_servers_allowed() -> Iterator[None]:
    """Set `ALLOWED` in the environment within the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ALLOWED.items():
            patch.setenv(name, value)
        yield


def trainer_command(*arguments: str) -> list[str]:
    """The command line that runs the trainer."""
    return [sys.executable, "-m", "vott_trainer", *arguments]


def trainer_environment(**variables: str) -> dict[str, str]:
    """The environment for the trainer: code of this checkout, `ALLOWED`, and no account or setting of the developer."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "VOTT_"))}
    return {**inherited, "PYTHONPATH": PYTHONPATH, "PYTHONUNBUFFERED": "1", **ALLOWED, **variables}


def run_trainer(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the trainer as a program until it ends."""
    command, environment = trainer_command(*arguments), trainer_environment(**variables)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
