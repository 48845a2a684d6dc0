"""The trainer as a process of this host, without Kubernetes."""

import json
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PYTHONPATH = f"{CHECKOUT / 'trainer-image'}:{CHECKOUT / 'guard'}"


def train_here(annotations: str, model: str, **parameters: object) -> None:
    """Train a detector to its end. Raises AssertionError with what it printed when it fails."""
    arguments = [f"--annotations={annotations}", f"--model={model}", f"--parameters={json.dumps(parameters)}"]
    command = [sys.executable, "-m", "vott_trainer", "--plugin=detection", *arguments]
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
