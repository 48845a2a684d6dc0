"""What the trainings of a daemon share."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vott_guard.backoff import Backoff
from vott_traind.devices import Slot
from vott_traind.folders import WorkFolder
from vott_traind.metrics import Metrics
from vott_traind.outcomes import Outcomes
from vott_traind.output import Output
from vott_traind.progress_callbacks import ProgressCallbacks
from vott_traind.records import Records
from vott_traind.trainer import TrainerOptions

RETRY_BACKOFF = Backoff(first=10.0, longest=360.0)
"""Between attempts at a training: the same as of a Job in Kubernetes between its pods."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a training is given up."""

    backoff_limit: int
    """How often a failed training is retried."""
    backoff: Backoff = RETRY_BACKOFF
    silence_seconds: float = 0
    """How long a trainer may take between two reports, once it has reported an epoch; 0: any time."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the trainings of a daemon share."""

    records: Records
    outcomes: Outcomes
    progress: ProgressCallbacks | None
    """None if the trainers post their progress themselves."""
    metrics: Metrics
    output: Output
    limits: Limits
    options: TrainerOptions
    work: Mapping[Slot, WorkFolder]
    stopping: asyncio.Event
    clock: Callable[[], float] = time.time
