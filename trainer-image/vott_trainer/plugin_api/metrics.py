"""Metrics as plain, finite numbers."""

import logging
import math
from collections.abc import Mapping
from typing import SupportsFloat

log = logging.getLogger(__name__)


def plain_metrics(metrics: Mapping[str, SupportsFloat]) -> dict[str, float]:
    """Convert metrics, which may be NumPy's or torch's numbers, to floats; drop values that are not finite, which JSON can't hold."""
    numbers = {str(name): float(value) for name, value in metrics.items()}
    if dropped := [name for name, value in numbers.items() if not math.isfinite(value)]:
        log.warning("metrics not reported because they are not finite: %s", ", ".join(dropped))
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
