"""OpenMP, whose threads compute torch's operations on a CPU."""

import os
from collections.abc import MutableMapping

SPINS = "5000"
"""How often an idle thread checks for work before it sleeps: some 0.1 ms.

A training step is a sequence of short operations, and waking a thread up takes about as long. With no spinning at all, steps took a fifth
longer on two idle cores. With GCC's default, about a hundred times as much, two trainings that shared the cores were six times slower
than without.
"""


def limit_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Limit the spinning of idle threads, unless the environment says how they wait. GCC's libgomp reads it when torch is imported."""
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPINS)
