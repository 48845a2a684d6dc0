"""Compare the CPU time of a test's training with what it should take. Only printed; no test fails for being slow."""

import resource

MINUTES = {
    "efficientnet_lite0_fpn": 2,
    "efficientnet_lite0": 3,
    "resnet_tiny": 1,
}  # of the CPU, at most, for the tests' trainings


def children_cpu_minutes() -> float:
    """CPU minutes used so far by all terminated child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


def compare_with_budget(architecture: str, minutes: float) -> str:
    """A line with a training's CPU minutes and those that its architecture should take."""
    return f"\n{architecture}: {minutes:.2f} CPU minutes (at most {MINUTES[architecture]} expected)"
