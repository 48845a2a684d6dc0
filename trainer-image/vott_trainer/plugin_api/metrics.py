"""Metrics as everything that reports them can take them."""

import logging
import math
from collections.abc import Mapping
from typing import SupportsFloat

log = logging.getLogger(__name__)


def plain(metrics: Mapping[str, SupportsFloat]) -> dict[str, float]:
    """Return metrics as plain numbers: a plugin may bring NumPy's or torch's; what is not finite no JSON can hold."""
    numbers = {str(name): float(value) for name, value in metrics.items()}
    if lost := [name for name, value in numbers.items() if not math.isfinite(value)]:
        log.warning("not finite, and so not reported: %s", ", ".join(lost))
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
