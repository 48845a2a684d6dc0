"""Losses and gradients that become infinite or not a number: an error that names the step and its images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from vott_trainer.errors import NonFiniteLossError
from vott_trainer.learning import distributed
from vott_trainer.learning.state import TrainingState

MAX_NAMED = 10  # images


@dataclass(frozen=True)
class NonFinite:
    """A value of this process that is not finite, its step and the step's images."""

    what: Literal["loss", "gradient"]
    value: float
    where: str
    names: list[str]


@dataclass(frozen=True)
class _Pending:
    """Total loss, classification loss and gradient norm of a step, still on the device."""

    losses: Tensor
    names: list[str]
    where: str


class LossCheck:
    """Checks the losses of each step one step later, so that no step waits for the GPU, and adds them to the running means.

    With several processes, a value that is not finite ends all of them at the same step.
    """

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._pending: _Pending | None = None
        self._found: NonFinite | None = None

    @property
    def failed(self) -> bool:
        """Whether a loss or gradient of this process was not finite."""
        return self._found is not None

    def add(self, losses: Tensor, names: list[str], where: str) -> None:
        """Keep a step's losses for the next check."""
        self._pending = _Pending(losses, names, where)

    def check(self) -> bool:
        """Whether the latest losses are finite.

        Raises:
            NonFiniteLossError: they are not, and this is the only process.
        """
        if self._pending is None or self._found:
            return not self._found
        pending, self._pending = self._pending, None
        total, classification, norm = pending.losses.tolist()
        if not math.isfinite(total):
            self._found = NonFinite("loss", total, pending.where, pending.names)
        elif not math.isfinite(norm) and not self._state.scaler.is_enabled():  # a scaler skips such steps
            self._found = NonFinite("gradient", norm, pending.where, pending.names)
        else:
            self._state.means.add(total, classification, len(pending.names))
        if self._found and distributed.world_size() == 1:
            raise _error([self._found])
        return not self._found

    def check_all(self) -> None:
        """Check the latest losses of all processes; every process must call this.

        Raises:
            NonFiniteLossError: some are not finite.
        """
        self.check()
        (failed,) = distributed.any_process(self.failed)
        if failed:
            raise self.error_of_all()

    def error_of_all(self) -> NonFiniteLossError:
        """Gather what each process found, and return the same error in all; every process must call this."""
        found = distributed.gathered([self._found] if self._found else [], list[NonFinite])
        return _error([one for of_rank in found for one in of_rank])


def _error(found: Sequence[NonFinite]) -> NonFiniteLossError:
    """Name the images of the processes with a bad loss: a bad gradient spreads to all of them."""
    causes = [one for one in found if one.what == "loss"] or found
    images = [name for one in causes for name in one.names]
    more = len(images) - MAX_NAMED
    names = ", ".join(images[:MAX_NAMED]) + (f" and {more} others" if more > 0 else "")
    return NonFiniteLossError(
        f"The {causes[0].what} became {causes[0].value} at {causes[0].where}, images {names}. "
        "Check these images and their boxes, or lower learningRate, and send the message again."
    )
