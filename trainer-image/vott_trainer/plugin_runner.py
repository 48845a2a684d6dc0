"""Run a plugin's training: in which processes, who uploads the model, and plain numbers as metrics."""

from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from vott_trainer.plugin_api import Plugin, Run, Trained
from vott_trainer.plugin_api.metrics import plain_metrics


def trains_in_all_processes(plugin: Any) -> bool:
    """Whether the plugin trains in all processes; a Learner does."""
    return bool(getattr(plugin, "distributed", not hasattr(plugin, "train")))


def uploads_itself(plugin: Any) -> bool:
    """Whether the plugin uploads its model itself; it then also posts to the callback."""
    return bool(getattr(plugin, "uploads", False))


def run_plugin(plugin: Any, run: Run, parameters: BaseModel) -> Trained:
    """Train with a Plugin or a Learner; `parameters` are valid for it."""
    if hasattr(plugin, "train"):
        with_train: Plugin = plugin
        trained = with_train.train(run, parameters)
    else:
        from vott_trainer.learning.learn import learn  # imports torch

        trained = learn(plugin, run, parameters)  # type: ignore[arg-type] # validated against plugin.parameters
    return replace(trained, metrics=plain_metrics(trained.metrics))
