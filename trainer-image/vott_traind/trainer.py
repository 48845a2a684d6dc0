"""Arguments and environment of one trainer (docs/trainer-contract.md)."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vott_guard.redaction import redact_url
from vott_messaging.messages.message import TrainMessage
from vott_messaging.messages.parameters import INITIAL_WEIGHTS, weights_url
from vott_traind.devices import Slot
from vott_traind.folders import PRIVATE, TrainingFolder, WorkFolder

PASSED = frozenset(
    {
        *("PATH", "LANG", "LC_ALL", "TZ", "USER", "LD_LIBRARY_PATH", "HF_HUB_OFFLINE", "REQUESTS_CA_BUNDLE"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "VOTT_WEIGHTS", "VOTT_SCRIPTS_WITHOUT_SANDBOX"),
        *("VOTT_WORK_BYTES", "VOTT_EPHEMERAL_BYTES", "VOTT_PLUGINS", "VOTT_IMAGE_CACHE", "VOTT_IMAGE_CACHE_BYTES"),
        *("VOTT_CHECKPOINTS", "VOTT_CHECKPOINT_SECONDS", "VOTT_BUDGET_MINUTES"),
        *("VOTT_MODEL_CONTAINERS", "VOTT_MODEL_BUCKETS", "VOTT_DATA_CONTAINERS", "VOTT_DATA_BUCKETS"),
    }
)
PASSED_PREFIXES = ("PYTHON", "AWS_", "CUDA_", "NVIDIA_", "NCCL_", "TORCH_", "PYTORCH_", "OMP_", "MKL_")
CONTAINERS = ("VOTT_MODEL_CONTAINERS", "VOTT_DATA_CONTAINERS")
ACCOUNT = "AZURE_STORAGE_CONNECTION_STRING"
WORKLOAD_IDENTITY = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST")


@dataclass(frozen=True, slots=True)
class Job:
    """What to train, and under which name."""

    name: str
    plugin: str
    message: TrainMessage


@dataclass(frozen=True, slots=True)
class TrainerOptions:
    """What every trainer of this daemon gets."""

    rules: Mapping[str, str]
    """The variables of the rules for requests."""
    grace_seconds: int
    """From SIGTERM to SIGKILL."""
    budget_minutes: float
    """0: chosen by the trainer, or by VOTT_BUDGET_MINUTES."""
    signed_callbacks: bool
    """Whether the daemon posts all callbacks, because only it has the keys."""
    private_paths: tuple[Path, ...]
    """Folders that plugins' scripts must not read."""


def command(job: Job, folder: TrainingFolder, *, signed_callbacks: bool) -> list[str]:
    """Return the command line; writes the URLs with credentials into files that only this user can read."""
    parameters = dict(job.message.parameters)
    weights = weights_url(parameters)
    if weights and _has_credential(weights):
        del parameters[INITIAL_WEIGHTS]
    else:
        weights = None
    urls = {
        "annotations": job.message.annotations,
        "model": job.message.model,
        "status": None if signed_callbacks else job.message.status,
        "initial-weights": weights,
    }
    options = {
        "plugin": job.plugin,
        "name": job.name,
        "status-file": str(folder.status),
        "parameters": json.dumps(parameters, separators=(",", ":")),
        **{name: _argument(folder, name, url) for name, url in urls.items() if url},
    }
    # With "=", so that no value is mistaken for an option.
    return [sys.executable, "-P", "-m", "vott_trainer", *(f"--{name}={value}" for name, value in options.items())]


def environment(
    options: TrainerOptions, slot: Slot, folder: TrainingFolder, work: WorkFolder, own: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the trainer's variables: of the daemon's own only those of the contract, so none with a queue's credentials."""
    variables = {name: value for name, value in own.items() if name in PASSED or name.startswith(PASSED_PREFIXES)}
    variables |= {name: own[name] for name in _store_credentials(own) if name in own}
    variables |= {
        **options.rules,
        **slot.environment,
        "HOME": str(work.temporary),
        "TMPDIR": str(work.temporary),
        "VOTT_WORK_DIR": str(work.work),
        "VOTT_GRACE_SECONDS": str(options.grace_seconds),
        "VOTT_TERMINATION_LOG": str(folder.termination),
        "VOTT_PRIVATE_PATHS": os.pathsep.join(map(str, options.private_paths)),
    }
    if options.budget_minutes:
        variables["VOTT_BUDGET_MINUTES"] = f"{options.budget_minutes:g}"
    return variables


def _store_credentials(own: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables of Azure identities that trainings need: a queue's must not reach them just because they have the same names."""
    containers = [entry for name in CONTAINERS for entry in own.get(name, "").split(",") if entry.strip()]
    checkpoints = own.get("VOTT_CHECKPOINTS", "").startswith("http")
    if checkpoints or any("://" not in entry for entry in containers):
        yield ACCOUNT
    if checkpoints or any("://" in entry for entry in containers):
        yield from WORKLOAD_IDENTITY


def _argument(folder: TrainingFolder, name: str, url: str) -> str:
    """Return the URL, or `@` and the file that holds it if it may carry a credential, as a callback may in its path."""
    if name != "status" and not _has_credential(url):
        return url
    folder.urls.mkdir(mode=PRIVATE, exist_ok=True)
    file = folder.urls / name
    file.touch(mode=0o600)
    file.write_text(url)
    return f"@{file}"


def _has_credential(url: str) -> bool:
    return url != redact_url(url)
