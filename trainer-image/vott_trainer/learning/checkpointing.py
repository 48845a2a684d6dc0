"""When a training saves checkpoints, and how it resumes from one."""

import contextlib
import functools
import logging
import time
from collections.abc import Callable

from vott_trainer.learning import distributed
from vott_trainer.learning.checkpoint_file import read, write
from vott_trainer.learning.state import TrainingState
from vott_trainer.plugin_api import Checkpoint, Run, TrainingPosition

log = logging.getLogger(__name__)

WORTH_SAVING_SECONDS = 60.0  # a shorter training is repeated quickly


class Checkpointing:
    """The checkpoints of one training: at an interval, at SIGTERM, and after the last epoch, until the upload.

    Args:
        work: fingerprint of the training.
    """

    def __init__(self, run: Run, work: str) -> None:
        self._run, self._work = run, work
        self._checkpoints = run.checkpoints if distributed.leads() else None
        self._last = time.monotonic()
        self._reported: Checkpoint | None = None

    def resumed(
        self, make: Callable[[], TrainingState], restore: Callable[[TrainingState], None] = lambda _state: None
    ) -> TrainingState:
        """Return the state in the newest checkpoint of this work, or a new one; every process must call this.

        Args:
            restore: takes over what else follows from a restored state; raises an error if that is impossible.
        """
        state, found = make(), self._run.checkpoint(self._work)
        if not found:
            return state
        checkpoint, path = found
        try:
            state.load_state_dict(read(path))
            restore(state)
        except Exception as error:  # a damaged or hostile file may raise anything; the next attempt would fail likewise
            reason = str(error) if isinstance(error, ValueError) else type(error).__name__
            log.warning("the checkpoint of %s does not fit: %s", checkpoint.time, error)
            self._run.note(
                f"The checkpoint of {checkpoint.time} did not fit this training, which started over ({reason})."
            )
            self._run.progress.start_over()
            return make()  # the first state may be partly overwritten
        distributed.barrier()  # until all processes of this node have read the file
        path.unlink(missing_ok=True)
        where = f"epoch {checkpoint.epoch}, step {checkpoint.step}"  # of the fold, which the report adds
        sentence = f"Interrupted, and resumed from {where} (checkpoint of {checkpoint.time})."
        state.history.notes.append(sentence)
        log.info("%s", sentence)
        self._report()
        return state

    def save_if_due(self, state: TrainingState, is_valid: Callable[[], bool]) -> None:
        """Save in the background if the interval is over and `is_valid` confirms that the losses are finite."""
        if not self._checkpoints:
            return
        self._report()
        due = time.monotonic() - self._last >= self._checkpoints.every_seconds and not self._checkpoints.is_saving
        if due and is_valid():
            self._last = time.monotonic()
            write_state = functools.partial(write, state.state_dict())
            self._checkpoints.save_in_background(write_state, self._position(state))

    def save_interrupted(self, state: TrainingState) -> None:
        """Save before the process ends."""
        if self._checkpoints:
            self._save(state)
        elif distributed.leads():
            log.warning("no checkpoint saved: there is no location for checkpoints. The next attempt starts over.")
        with contextlib.suppress(RuntimeError):  # if this process ended now, the one that saves would fail
            distributed.barrier()

    def save_finished(self, state: TrainingState) -> None:
        """Save after the last epoch of a long training: export and upload may still be interrupted."""
        if self._checkpoints and state.history.seconds.get("training", 0.0) >= WORTH_SAVING_SECONDS:
            self._save(state)

    def _save(self, state: TrainingState) -> None:
        assert self._checkpoints
        self._checkpoints.wait()
        self._checkpoints.save(functools.partial(write, state.state_dict()), self._position(state))
        self._report()

    def _position(self, state: TrainingState) -> TrainingPosition:
        """Return the progress; between two epochs that is the end of the first."""
        now = self._run.progress.snapshot
        between_epochs = state.step == 0 and state.epoch > 1
        epoch, step = (state.epoch - 1, now.step_total) if between_epochs else (state.epoch, state.step)
        return TrainingPosition(self._work, epoch, step, now.fraction)

    def _report(self) -> None:
        if self._checkpoints and self._checkpoints.newest is not self._reported:
            self._reported = self._checkpoints.newest
            self._run.progress.checkpoint_stored(self._reported)
