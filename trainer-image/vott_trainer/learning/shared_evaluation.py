"""Evaluation by all processes: each computes the outputs of its share of the held-out items, and rank 0 measures them."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.utils.data import Subset

from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.learning import distributed
from vott_trainer.plugin_api import Data, Evaluation, Learner, SharedEvaluation


def evaluate(plugin: Learner, model: nn.Module, data: Data, device: torch.device) -> Evaluation | None:
    """Evaluate the model, on rank 0 or on all; every process must call this, and all but rank 0 get None.

    Raises:
        InterruptedTrainingError: SIGTERM has arrived: on every rank, if all evaluate.
    """
    shared = shared_evaluation(plugin)
    if distributed.world_size() == 1 or not shared:
        return plugin.evaluate(model, data, device) if distributed.leads() else None
    distributed.broadcast_buffers(model)  # the batch statistics, which each process has of its own images
    outputs = _outputs(shared, model, data.held_out, device)
    return shared.measure(data, outputs) if distributed.leads() else None


def shared_evaluation(plugin: Any) -> SharedEvaluation | None:
    """Return the plugin if all processes can evaluate; None if not, or if a subclass has replaced only `evaluate`."""
    if not hasattr(plugin, "outputs") or not issubclass(_owner(plugin, "outputs"), _owner(plugin, "evaluate")):
        return None
    return cast("SharedEvaluation", plugin)


def _owner(plugin: Any, name: str) -> type:
    """Return the class that a method comes from."""
    return next((one for one in type(plugin).__mro__ if name in vars(one)), object)


def _outputs(plugin: SharedEvaluation, model: nn.Module, items: Sequence[Any], device: torch.device) -> list[Any]:
    """Return the outputs of all items on rank 0, and none on the others."""
    kind: Any = list[plugin.output]  # type: ignore[name-defined] # a class at run time
    outputs, interrupted = [], False
    try:
        outputs = plugin.outputs(model, cast("Sequence[Any]", Subset(cast("Any", items), _share(len(items)))), device)
    except InterruptedTrainingError:
        interrupted = True
    if any(distributed.any_process(interrupted)):
        raise InterruptedTrainingError
    return [output for share in distributed.collected(outputs, kind) for output in share]


def _share(count: int) -> range:
    """Return the numbers of this process's items: consecutive ones, so that neighbours of one size stay together."""
    rank, processes = distributed.rank(), distributed.world_size()
    return range(count * rank // processes, count * (rank + 1) // processes)
