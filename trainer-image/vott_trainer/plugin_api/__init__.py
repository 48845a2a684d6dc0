"""The API for plugin authors: interfaces and plain data, without the trainer's implementations. docs/plugins.md has examples."""

from vott_trainer.plugin_api.checkpoints import Checkpoint, Checkpoints, TrainingPosition
from vott_trainer.plugin_api.dataset import Dataset, LabelledImage
from vott_trainer.plugin_api.evaluation import (
    Confusion,
    Evaluation,
    Example,
    FoldMetrics,
    Interval,
    Intervals,
    Point,
    Prediction,
    ReliabilityPoint,
)
from vott_trainer.plugin_api.fold import Fold
from vott_trainer.plugin_api.learner import Batch, CrossValidated, Data, Item, Learner, SharedEvaluation, SummedLosses
from vott_trainer.plugin_api.parameters import DataParameters, LearningParameters, Parameters
from vott_trainer.plugin_api.plugin import Plugin, Trained
from vott_trainer.plugin_api.run import Interruption, Links, Progress, Ranks, Run

__all__ = [
    "Batch",
    "Checkpoint",
    "Checkpoints",
    "Confusion",
    "CrossValidated",
    "Data",
    "DataParameters",
    "Dataset",
    "Evaluation",
    "Example",
    "Fold",
    "FoldMetrics",
    "Interruption",
    "Interval",
    "Intervals",
    "Item",
    "LabelledImage",
    "Learner",
    "LearningParameters",
    "Links",
    "Parameters",
    "Plugin",
    "Point",
    "Prediction",
    "Progress",
    "Ranks",
    "ReliabilityPoint",
    "Run",
    "SharedEvaluation",
    "SummedLosses",
    "Trained",
    "TrainingPosition",
]
