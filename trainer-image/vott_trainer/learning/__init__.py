"""How a torch plugin learns: the loop and all around it."""

from vott_trainer.learning.learn import learn

__all__ = ["learn"]
