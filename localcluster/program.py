"""A program of a cluster: its command line, configuration and readiness check."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """One program: how to run it, and how to check that it is ready."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    address: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    config_files: tuple[Path, ...] = ()  # a change in one of them restarts the program

    @property
    def fingerprint(self) -> str:
        """Changes if the program has to be restarted."""
        digest = hashlib.sha256(repr((self.command, sorted(self.environment.items()))).encode())
        for path in self.config_files:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]
