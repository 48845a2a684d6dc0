"""Training of a torch plugin: the loop, batches, mixed precision, several processes, checkpoints and weights."""

from vott_trainer.learning.learn import learn

__all__ = ["learn"]
