"""One training of a learner: device, data, state, the loop with its checkpoints, and the files of the model."""

import json
import logging
import math
import time
from collections.abc import Sequence

import torch
from torch import nn

from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.learning import device as devices
from vott_trainer.learning import distributed, out_of_memory, shared_evaluation
from vott_trainer.learning.batches import Batches
from vott_trainer.learning.checkpointing import Checkpointing
from vott_trainer.learning.cross_validation import Folds
from vott_trainer.learning.fingerprint import fingerprint
from vott_trainer.learning.history import FinishedFold
from vott_trainer.learning.loop import Loop, LoopSettings
from vott_trainer.learning.state import TrainingState
from vott_trainer.learning.worker_threads import worker_threads
from vott_trainer.parameters import shown
from vott_trainer.plugin_api import Data, Evaluation, Fold, Learner, LearningParameters, Run, Trained

log = logging.getLogger(__name__)


def learn(plugin: Learner, run: Run, parameters: LearningParameters) -> Trained:
    """Train the plugin's model and write its files to `run.model_dir`; every process calls this, rank 0's result counts.

    Raises:
        TrainerError: with the reason.
        InterruptedTrainingError: SIGTERM has arrived; a checkpoint is saved if there is a location for it.
    """
    device = devices.prepare(run.ranks)
    if run.ranks.leads and not run.checkpoints:
        run.note("No checkpoints were kept: after an interruption the training would have started over.")
    run.dataset()  # before `start`: the run measures the time of fetching itself
    start = time.monotonic()
    parameters = _resolved(parameters, run, device)
    folds = Folds(plugin, run, parameters)
    data = folds.data(Fold(1, folds.total))
    prepared = time.monotonic() - start
    log.info("on %s: %s", devices.name(device), json.dumps(shown(parameters)))
    trained = _train(plugin, run, folds, data, parameters, device)
    trained.details["seconds"]["preparingImages"] = prepared
    return trained


def _resolved(requested: LearningParameters, run: Run, device: torch.device) -> LearningParameters:
    """Return the parameters with all defaults; every process gets equally many images a step."""
    parameters, processes = requested.resolved(run.dataset(), device), run.ranks.world_size
    for reason in parameters.reasons:
        run.note(reason)
    batch_size = math.ceil((parameters.batch_size or 1) / processes) * processes
    return parameters.model_copy(update={"batch_size": batch_size})


def _train(
    plugin: Learner, run: Run, folds: Folds, data: Data, parameters: LearningParameters, device: torch.device
) -> Trained:
    """Train all folds; `data` is that of the first."""
    checkpointing = Checkpointing(run, fingerprint(plugin, run, parameters))
    state = checkpointing.resumed(lambda: _new_state(plugin, data, parameters, device), folds.restore)
    while True:
        fold = folds.current(state)
        if fold.number > 1:
            data = folds.data(fold)
        evaluation = _train_fold(plugin, run, folds, data, state, parameters, checkpointing)
        if fold.number == fold.total:
            break
        finished = state.finished
        del state  # its memory is for the next
        state = _new_state(plugin, data, parameters, device, finished)
    if not distributed.leads():
        run.interruption.stop_deferring()
        return Trained({}, {"seconds": {}})
    for note in (note for one in state.finished for note in one.notes):
        run.note(note)
    if fold.is_one_of_several:
        evaluation = folds.evaluation(data)
    measured = evaluation or plugin.evaluate(state.final_model, data, device)
    return _trained(plugin, run, data, parameters, state, measured, device)


def _train_fold(
    plugin: Learner,
    run: Run,
    folds: Folds,
    data: Data,
    state: TrainingState,
    parameters: LearningParameters,
    checkpointing: Checkpointing,
) -> Evaluation | None:
    """Train a fold to its end, and add it to `state.finished`; return the evaluation of its final model, if there is one."""
    device = state.device
    batches = _batches(plugin, data, run, parameters, device)
    batches.parts = max(batches.parts, state.parts)
    settings = LoopSettings(
        parameters.epochs or 1, parameters.seed, parameters.early_stopping or 0, folds.minutes, folds.current(state)
    )

    def evaluate(model: nn.Module) -> Evaluation | None:
        return shared_evaluation.evaluate(plugin, model, data, device)

    loop = Loop(plugin, state, batches, settings, run, evaluate, checkpointing.save_if_due)
    try:
        if distributed.world_size() > 1 and device.type == "cuda":
            out_of_memory.fit_to_memory(plugin, batches, state)
        run.interruption.defer()
        loop.run()
        checkpointing.save_finished(state)
        loop.choose_model()
        finished = folds.finish(state, data, device)
    except InterruptedTrainingError:
        checkpointing.save_interrupted(state)
        raise
    except torch.OutOfMemoryError as error:
        raise out_of_memory.error(batches) from error
    state.finished.append(finished)
    if batches.parts > parameters.gradient_accumulation_steps:
        run.note(out_of_memory.note(batches))
    return loop.evaluation


def _batches(plugin: Learner, data: Data, run: Run, parameters: LearningParameters, device: torch.device) -> Batches:
    return Batches(
        plugin,
        data.training,
        batch_size=(parameters.batch_size or 1) // run.ranks.world_size,
        seed=parameters.seed,
        ranks=run.ranks,
        workers=worker_threads(run.ranks),
        parts=parameters.gradient_accumulation_steps,
        pin=device.type == "cuda",
    )


def _new_state(
    plugin: Learner,
    data: Data,
    parameters: LearningParameters,
    device: torch.device,
    finished: Sequence[FinishedFold] = (),
) -> TrainingState:
    torch.manual_seed(parameters.seed)
    model = plugin.model(data, parameters).to(device).to(memory_format=torch.channels_last)
    return TrainingState(
        model,
        peak_learning_rate=parameters.learning_rate or 0.0,
        ema_decay=parameters.ema_decay,
        pretrained=data.pretrained,
        finished=finished,
    )


def _trained(
    plugin: Learner,
    run: Run,
    data: Data,
    parameters: LearningParameters,
    state: TrainingState,
    evaluation: Evaluation,
    device: torch.device,
) -> Trained:
    evaluation = evaluation.with_intervals()
    config = plugin.export(state.final_model, data, parameters, run.model_dir)
    details = {
        "settings": shown(parameters),
        "device": devices.name(device),
        "processes": run.ranks.world_size,
        "counts": data.counts,
        "onnx": config.get("onnx"),
        "seconds": _seconds(state.finished),
    }
    config = {"labels": data.labels, **config}
    return Trained(evaluation.metrics, details, config, evaluation, list(state.history.epochs))


def _seconds(finished: Sequence[FinishedFold]) -> dict[str, float]:
    """Return the time of each phase, over all folds."""
    total = dict[str, float]()
    for phase, seconds in (entry for fold in finished for entry in fold.seconds.items()):
        total[phase] = total.get(phase, 0.0) + seconds
    return total
