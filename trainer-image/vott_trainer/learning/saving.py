"""When a training is saved, and how it goes on from there."""

import contextlib
import functools
import logging
import time
from collections.abc import Callable

from vott_trainer.learning import group
from vott_trainer.learning.state import State, read, write
from vott_trainer.plugin_api import Checkpoint, Reached, Run

log = logging.getLogger(__name__)

WORTH_SAVING_SECONDS = 60.0  # less than this is quickly learned again


class Saving:
    """The checkpoints of one training: every so many seconds, at SIGTERM, and when all is learned but nothing uploaded yet.

    Args:
        work: digest of what is trained on what.
    """

    def __init__(self, run: Run, work: str) -> None:
        self._run, self._work = run, work
        self._checkpoints = run.checkpoints if group.leads() else None
        self._last = time.monotonic()
        self._told: Checkpoint | None = None

    def resumed(self, make: Callable[[], State]) -> State:
        """Return the state that the newest checkpoint of this work holds, or a new one; every process must call this."""
        state, found = make(), self._run.checkpoint(self._work)
        if not found:
            return state
        checkpoint, path = found
        try:
            state.restore(read(path))
        except (
            Exception
        ) as error:  # whatever a damaged or hostile file makes of it: the next attempt would read the same one
            reason = str(error) if isinstance(error, ValueError) else type(error).__name__
            log.warning("the checkpoint of %s does not fit: %s", checkpoint.time, error)
            self._run.note(
                f"The checkpoint of {checkpoint.time} did not fit this training, which began anew ({reason})."
            )
            self._run.progress.start_over()
            return make()  # the other one may have become a part of what was saved
        group.most(0)  # all processes of this node have read it
        path.unlink(missing_ok=True)
        where = f"epoch {checkpoint.epoch}, step {checkpoint.step}"
        sentence = f"Interrupted, and went on from {where} (checkpoint of {checkpoint.time})."
        state.history.notes.append(sentence)
        log.info("%s", sentence)
        self._tell()
        return state

    def between(self, state: State, settle: Callable[[], bool]) -> None:
        """Save in the background, if it is time and `settle` says that the state is fit to go on from."""
        if not self._checkpoints:
            return
        self._tell()
        due = time.monotonic() - self._last >= self._checkpoints.every_seconds and not self._checkpoints.is_saving
        if due and settle():
            self._last = time.monotonic()
            self._checkpoints.save_in_background(functools.partial(write, state.captured()), self._reached(state))

    def last(self, state: State) -> None:
        """Save now, before the process ends."""
        if self._checkpoints:
            self._save(state)
        elif group.leads():
            log.warning("nothing is saved: there is no place for checkpoints. The next attempt begins anew.")
        with contextlib.suppress(RuntimeError):  # whose process ends before would take this one with it
            group.most(0)

    def end(self, state: State) -> None:
        """Save what is learned, if that took long: export and upload may still be interrupted."""
        if self._checkpoints and state.history.seconds.get("training", 0.0) >= WORTH_SAVING_SECONDS:
            self._save(state)

    def _save(self, state: State) -> None:
        assert self._checkpoints
        self._checkpoints.wait()
        self._checkpoints.save(functools.partial(write, state.captured()), self._reached(state))
        self._tell()

    def _reached(self, state: State) -> Reached:
        """Between two epochs the state stands before the next one; people call that the end of the last."""
        now = self._run.progress.snapshot
        between = state.step == 0 and state.epoch > 1
        epoch, step = (state.epoch - 1, now.step_total) if between else (state.epoch, state.step)
        return Reached(self._work, epoch, step, now.fraction)

    def _tell(self) -> None:
        if self._checkpoints and self._checkpoints.newest is not self._told:
            self._told = self._checkpoints.newest
            self._run.progress.checkpoint_stored(self._told)
