"""The environment variables of a script: the container's, without the trainer's credentials and settings."""

import json
import os
from collections.abc import Mapping
from typing import Any

TRAINER_PREFIXES = ("AWS_", "AZURE_", "IDENTITY_", "KUBERNETES_", "MSI_", "TRAININGJOB_", "VOTT_")
"""Prefixes of the variables with the trainer's credentials and settings."""
PASSED_VARIABLES = ("VOTT_GRACE_SECONDS", "VOTT_WEIGHTS")
"""Variables with one of these prefixes that a script gets all the same."""


def script_environment(parameters: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the script's variables; VOTT_PARAMETERS holds the message's `parameters` as JSON."""
    variables = {name: value for name, value in environment.items() if not name.startswith(TRAINER_PREFIXES)}
    variables.pop("PYTHONSAFEPATH", None)  # would hide the modules beside the script
    passed = {name: environment[name] for name in PASSED_VARIABLES if name in environment}
    return variables | passed | {"VOTT_PARAMETERS": json.dumps(parameters)}
