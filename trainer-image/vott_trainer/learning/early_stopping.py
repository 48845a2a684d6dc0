"""Early stopping: end a training without improvement, and deliver the best model instead of the last."""

from vott_trainer.learning.history import History
from vott_trainer.learning.state import TrainingState


def should_stop(history: History, patience: int) -> bool:
    """Whether `patience` evaluations brought no improvement; 0 never stops."""
    return 0 < patience <= history.without_improvement


def use_best_model(state: TrainingState, patience: int) -> bool:
    """With early stopping, go back to the best weights. Return False if those are of the last epoch, or without early stopping."""
    if not patience or state.history.best_epoch == state.epoch - 1:
        return False
    state.use_best()
    return True
