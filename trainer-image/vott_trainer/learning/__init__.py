"""How a torch plugin learns: the loop and all around it."""

from vott_trainer.learning.learn import learn
from vott_trainer.plugin_api.learner import Batch, Data, Item, Learner, LearningParameters

__all__ = ["Batch", "Data", "Item", "Learner", "LearningParameters", "learn"]
