"""One training of a learner: device, data, model, the loop with its checkpoints, and the files of the model."""

import hashlib
import json
import logging
import math
import time
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from vott_guard.redaction import redact_url
from vott_trainer.errors import InterruptedTrainingError, InvalidParametersError
from vott_trainer.learning import device as devices
from vott_trainer.learning import group
from vott_trainer.learning.batches import Batches
from vott_trainer.learning.loop import Course, Loop
from vott_trainer.learning.saving import Saving
from vott_trainer.learning.state import State
from vott_trainer.parameters import shown
from vott_trainer.plugin_api import Data, Evaluation, Learner, LearningParameters, Run, Trained
from vott_trainer.version import VERSION

log = logging.getLogger(__name__)


def learn(plugin: Learner, run: Run, parameters: LearningParameters) -> Trained:
    """Train the plugin's model and leave its files in `run.model_dir`; called in every process, rank 0's outcome counts.

    Raises:
        TrainerError: with the reason.
        InterruptedTrainingError: SIGTERM came, and what was learned is saved where there is a place for it.
    """
    device = devices.prepare(run.ranks)
    if run.ranks.leads and not run.checkpoints:
        run.note("No checkpoints were kept: an interruption would have made this training begin anew.")
    run.dataset()  # fetched now: the run counts those seconds by itself
    start = time.monotonic()
    parameters, data = _resolved(plugin, parameters, run, device)
    prepared = time.monotonic() - start
    log.info("on %s: %s", devices.name(device), json.dumps(shown(parameters)))
    trained = _train(plugin, run, data, parameters, device)
    trained.details["seconds"]["preparingImages"] = prepared
    return trained


def _resolved(
    plugin: Learner, wanted: LearningParameters, run: Run, device: torch.device
) -> tuple[LearningParameters, Data]:
    """Return the data, and the parameters with what the message left open; every process gets equally many images a step.

    The number of epochs follows from what is learned, and an image may have many boxes that are.
    """
    parameters = wanted.resolved(len(run.dataset().images), device)
    data = plugin.data(run, parameters)
    items = len(data.training) + len(data.held_out)
    processes = run.ranks.world_size
    changes = {
        "batch_size": math.ceil((parameters.batch_size or 1) / processes) * processes,
        "epochs": wanted.resolved(items, device).epochs,
    }
    return parameters.model_copy(update=changes), data


def _train(plugin: Learner, run: Run, data: Data, parameters: LearningParameters, device: torch.device) -> Trained:
    batches = _batches(plugin, data, run, parameters, device)
    saving = Saving(run, _digest_of(plugin, run, parameters))
    state = saving.resumed(lambda: _new_state(plugin, data, parameters, device, len(batches)))
    batches.parts = max(batches.parts, state.parts)
    course = Course(parameters.epochs or 1, parameters.seed, parameters.early_stopping or 0)

    def evaluate(model: nn.Module) -> Evaluation:
        return plugin.evaluate(model, data, device)

    loop = Loop(plugin, state, batches, course, run, evaluate, saving.between)
    _run(loop, saving, state, run, batches, device)
    if not group.leads():
        run.interruption.stop_deferring()
        return Trained({}, {"seconds": {}})
    saving.end(state)
    loop.choose()
    for note in state.history.notes:
        run.note(note)
    if batches.parts > parameters.gradient_accumulation_steps:
        run.note(
            f"The GPU's memory had no room, or none to spare, for a whole batch: each step went through it in {batches.parts} parts. "
            "That learns the same, except that batch normalization sees one part at a time."
        )
    return _trained(plugin, run, data, parameters, state, loop.evaluation or evaluate(state.measured), device)


def _new_state(plugin: Learner, data: Data, parameters: LearningParameters, device: torch.device, steps: int) -> State:
    torch.manual_seed(parameters.seed)
    model = plugin.model(data, parameters).to(device).to(memory_format=torch.channels_last)
    return State(
        model,
        learning_rate=parameters.learning_rate or 0.0,
        steps=(parameters.epochs or 1) * steps,
        ema_decay=parameters.ema_decay,
    )


def _run(loop: Loop, saving: Saving, state: State, run: Run, batches: Batches, device: torch.device) -> None:
    try:
        if group.size() > 1 and device.type == "cuda":
            loop.fit_memory()
        run.interruption.defer()
        loop.run()
    except InterruptedTrainingError:
        saving.last(state)
        raise
    except torch.OutOfMemoryError as error:
        raise _too_little_memory(batches) from error


def _too_little_memory(batches: Batches) -> InvalidParametersError:
    """Say what to do. With other parameters none of it goes on from a checkpoint, see `_digest_of`."""
    if batches.at_once == 1:
        return InvalidParametersError(
            "The GPU's memory does not hold a single image with these parameters. Lower imageSize, "
            "choose a smaller architecture, or a larger GPU, and send the message again."
        )
    return InvalidParametersError(
        f"The memory of a GPU ran out, with up to {batches.at_once} images in it at once. Lower batchSize or imageSize, or raise "
        f"gradientAccumulationSteps above {batches.parts}, and send the message again: the training then begins anew."
    )


def _trained(
    plugin: Learner,
    run: Run,
    data: Data,
    parameters: LearningParameters,
    state: State,
    evaluation: Evaluation,
    device: torch.device,
) -> Trained:
    config = plugin.export(state.measured, data, parameters, run.model_dir)
    details = {
        "settings": shown(parameters),
        "device": devices.name(device),
        "processes": run.ranks.world_size,
        "counts": data.counts,
        "onnx": config.get("onnx"),
        "seconds": dict(state.history.seconds),
    }
    config = {"labels": data.labels, **config}
    return Trained(evaluation.metrics, details, config, evaluation, list(state.history.epochs))


def _batches(plugin: Learner, data: Data, run: Run, parameters: LearningParameters, device: torch.device) -> Batches:
    return Batches(
        plugin,
        data.training,
        batch_size=(parameters.batch_size or 1) // run.ranks.world_size,
        seed=parameters.seed,
        ranks=run.ranks,
        workers=devices.workers(run.ranks),
        parts=parameters.gradient_accumulation_steps,
        pin=device.type == "cuda",
    )


def _digest_of(plugin: Learner, run: Run, parameters: LearningParameters) -> str:
    """Return a digest of all that decides what is learned: a checkpoint of anything else must not be gone on from."""
    work: dict[str, Any] = {
        "trainer": VERSION,
        "plugin": f"{type(plugin).__module__}.{type(plugin).__qualname__}",
        "parameters": shown(parameters),
        "images": [
            (redact_url(image.url), image.label, [asdict(box) for box in image.boxes]) for image in run.dataset().images
        ],
        "processes": run.ranks.world_size,
    }
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
