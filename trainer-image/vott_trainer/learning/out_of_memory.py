"""GPU memory that does not hold a whole batch: steps are divided into twice as many parts until they fit.

A single process doubles the parts while it trains. Several processes can't repeat a step, because the others already wait for its
gradients: they find the number of parts before the first step, each by steps of its own, without communication in them.
"""

import logging

import torch
from torch import Tensor

from vott_trainer.errors import InvalidParametersError
from vott_trainer.learning import distributed
from vott_trainer.learning.batch_parts import Step
from vott_trainer.learning.batches import Batches
from vott_trainer.learning.gradient_accumulation import backward_parts
from vott_trainer.learning.state import TrainingState
from vott_trainer.plugin_api import Learner

log = logging.getLogger(__name__)

SPARE = 10  # one part in ten of a GPU's memory


def double_parts(step: Step, batches: Batches, state: TrainingState) -> bool:
    """Divide batches into twice as many parts as this step's; False if they can't be divided further."""
    if len(step.parts) == len(step.items):
        return False
    if step.max_parts == batches.parts:  # else the step was built before the last doubling
        batches.parts = state.parts = 2 * batches.parts
        log.warning("too little GPU memory: each step is now divided into %d parts", batches.parts)
    return True


def fit_to_memory(plugin: Learner, batches: Batches, state: TrainingState) -> None:
    """Find the number of parts that fits the memory of every GPU; every process must call this before the first step.

    Raises:
        torch.OutOfMemoryError: one GPU's memory does not hold a single item.
    """
    buffers = {name: buffer.clone() for name, buffer in state.model.named_buffers()}
    fits = _divided_to_fit(plugin, batches, state, batches.largest())
    state.optimizer.zero_grad(set_to_none=True)
    torch.cuda.empty_cache()  # not only torch needs the spare memory
    for name, buffer in state.model.named_buffers():
        buffer.copy_(buffers[name])
    if not fits:
        raise torch.OutOfMemoryError("not a single item")


def error(batches: Batches) -> InvalidParametersError:
    """Return the error for the sender. After a change of parameters no checkpoint fits, so the training starts over."""
    if batches.part_size == 1:
        return InvalidParametersError(
            "The GPU's memory does not hold a single image with these parameters. Lower imageSize, "
            "choose a smaller architecture, or a larger GPU, and send the message again."
        )
    return InvalidParametersError(
        f"A GPU ran out of memory, with up to {batches.part_size} images in it at once. Lower batchSize or imageSize, or raise "
        f"gradientAccumulationSteps above {batches.parts}, and send the message again; the training then starts over."
    )


def note(batches: Batches) -> str:
    """Return the note for the report."""
    return (
        f"The GPU's memory was too small for a whole batch, or left nothing to spare: each step was divided into {batches.parts} parts. "
        "The model learns the same, except that batch normalization sees one part at a time."
    )


def ballast(device: torch.device) -> Tensor | None:
    """Occupy the part of a GPU's memory that must stay free; nothing on a CPU."""
    if device.type != "cuda":
        return None
    return torch.empty(torch.cuda.get_device_properties(device).total_memory // SPARE, dtype=torch.uint8, device=device)


def _divided_to_fit(plugin: Learner, batches: Batches, state: TrainingState, step: Step) -> bool:
    """Divide the step until it fits every GPU with memory to spare, or can't be divided; return whether it fits."""
    while not _fits_all(plugin, state, step, spare=True):
        if not double_parts(step, batches, state):
            return _fits_all(plugin, state, step, spare=False)
        step = batches.divided(step)
    return True


def _fits_all(plugin: Learner, state: TrainingState, step: Step, *, spare: bool) -> bool:
    """Agree after each attempt: all processes try the same number of parts, and none is ahead of the others."""
    (too_little,) = distributed.any_process(not _fits(plugin, state, step, spare=spare))
    return not too_little


def _fits(plugin: Learner, state: TrainingState, step: Step, *, spare: bool) -> bool:
    state.optimizer.zero_grad(set_to_none=True)
    torch.cuda.empty_cache()
    try:
        occupied = [_optimizer_memory(state), ballast(state.device) if spare else None]
        backward_parts(plugin, state.model, state.scaler, step, state.device)
    except torch.OutOfMemoryError:
        return False
    del occupied
    return True


def _optimizer_memory(state: TrainingState) -> list[Tensor]:
    """Occupy the memory that AdamW will take in the first step; a resumed optimizer has taken it already."""
    if state.optimizer.state:
        return []
    return [torch.empty_like(weight) for weight in state.model.parameters() for _ in range(2)]
