"""Number of threads of a process: for decoding images, and for torch on a CPU."""

from vott_trainer.plugin_api import Ranks
from vott_trainer.process.cpu_count import usable_cpus


def worker_threads(ranks: Ranks) -> int:
    """Return this process's share of the container's CPUs, at least 1."""
    return max(1, usable_cpus() // ranks.local_world_size)
