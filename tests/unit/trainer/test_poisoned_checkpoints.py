"""Write access to a training's checkpoints can't end it for good: it starts over, and reports why."""

import copy
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.test_resume import EPOCHS, PARAMETERS, StopsAt, as_toy, resumed
from tests.unit.trainer.toy_learner import ToyLearner, toy_run
from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.learning import learn


def planted(
    store: Path, change: Callable[[dict[str, Any]], None], repack: Callable[[Path], None] | None = None
) -> None:
    """Change the checkpoints with matching digests, as anyone with write access could."""
    index = json.loads((store / "index.json").read_text())
    for checkpoint in index["checkpoints"]:
        path = store / checkpoint["slot"]
        saved = torch.load(path, weights_only=True)
        change(saved)
        torch.save(saved, path)
        if repack:
            repack(path)
        checkpoint["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (store / "index.json").write_text(json.dumps(index))


def compressed(path: Path) -> None:
    """Deflate each entry of a zip file, which torch reads as well."""
    with zipfile.ZipFile(path) as file:
        entries = [(entry.filename, file.read(entry)) for entry in file.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)


def put(value: Any, *keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(saved: dict[str, Any]) -> None:
        for key in keys[:-1]:
            saved = saved[key]
        saved[keys[-1]] = value

    return change


def notes_of_restart(tmp_path: Path, change: Callable[[dict[str, Any]], None], repack: Any = None) -> str:
    """Train to the end after a changed checkpoint; return the notes."""
    parameters = PARAMETERS.model_copy(update={"early_stopping": 9})
    first = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(StopsAt(7, first.interruption.request)), first, parameters)
    planted(tmp_path / "store", change, repack)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    assert len(learn(ToyLearner(), run, parameters).history) == EPOCHS
    assert not resumed(run)
    return "\n".join(run.notes)


WEIGHT = "layers.0.weight"
POISON: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "epoch is text": (put("x", "epoch"), "epoch: Input should be a valid integer"),
    "epoch below 1": (put(0, "epoch"), "epoch: "),
    "epoch without its rows": (put(1 << 30, "epoch"), "history.epochs: expected a row for each completed epoch"),
    "step below 0": (put(-1, "step"), "step: "),
    "step is a tensor": (put(torch.ones(2), "step"), "step: "),
    "no parts": (put(0, "parts"), "parts: "),
    "parts beyond all numbers": (put(10**400, "parts"), "parts: "),
    "means of text": (put("x", "means", "images"), "means.images: "),
    "no history": (lambda saved: saved.pop("history"), "history: Field required"),
    "rows without epochs": (put([{}, {}], "history", "epochs"), "history.epochs: "),
    "rows of text": (put([{"epoch": 1, "loss": "x\x1b"}] * 2, "history", "epochs"), "history.epochs: "),
    "metrics that are no numbers": (put({"x": []}, "history", "metrics"), "history.metrics: "),
    "a note without end": (put(["x" * 100_000], "history", "notes"), "history.notes: "),
    "a note of several lines": (put(["x\n\x1b[31m"], "history", "notes"), "history.notes: "),
    "patience of text": (put("x", "history", "without_improvement"), "history.without_improvement: "),
    "best of another network": (put({"x": torch.ones(3)}, "best"), "best does not fit the network"),
    "best of another shape": (put(torch.ones(3), "best", WEIGHT), f"best.{WEIGHT} does not fit"),
    "model that is no number": (put(torch.full((16, 2), torch.nan), "model", WEIGHT), f"model.{WEIGHT} does not fit"),
    "average of another shape": (
        put(torch.ones(3), "average", "model", WEIGHT),
        f"average.model.{WEIGHT} does not fit",
    ),
    "average counted in text": (put("x", "average", "count"), "average.count does not fit"),
    "huge moments": (
        put(torch.ones(1).expand(10**12), "optimizer", "state", 0, "exp_avg"),
        "optimizer.0.exp_avg does not fit",
    ),
    "moments of no parameter": (put({}, "optimizer", "state", 999), "optimizer: other parameters"),
    "no optimizer": (put(3, "optimizer"), "optimizer: not the state of AdamW"),
    "learning rate of text": (put("x", "optimizer", "param_groups", 0, "lr"), "optimizer.0.lr does not fit"),
    "learning rate beyond all numbers": (put(10**400, "optimizer", "param_groups", 0, "lr"), "OverflowError"),
    "peak of text": (put("x", "optimizer", "param_groups", 0, "peak_lr"), "optimizer.0.peak_lr does not fit"),
}


@pytest.mark.parametrize("poison", POISON)
def test_training_with_a_poisoned_checkpoint_starts_over_with_the_reason(poison: str, tmp_path: Path) -> None:
    change, reason = POISON[poison]
    notes = notes_of_restart(tmp_path, change)
    assert f"did not fit this training, which started over ({reason}" in notes
    assert len(notes) < 1000


def test_checkpoint_that_is_a_list_makes_the_training_start_over(tmp_path: Path) -> None:
    notes = notes_of_restart(tmp_path, lambda _saved: None, lambda path: torch.save([1], path))
    assert "started over (not a checkpoint (no names))" in notes


def test_compressed_checkpoint_is_not_read(tmp_path: Path) -> None:
    notes = notes_of_restart(tmp_path, put(torch.zeros(1_000_000), "more"), compressed)
    assert "started over (not a checkpoint (ValueError))" in notes


def test_checkpoint_with_shared_content_is_not_read(tmp_path: Path) -> None:
    def doubled(path: Path) -> None:
        """Let many entries of the directory share one content."""
        with zipfile.ZipFile(path, "a") as file:
            largest = max(file.infolist(), key=lambda entry: entry.file_size)
            for number in range(100):
                again = copy.copy(largest)
                again.filename = again.orig_filename = f"archive/data/9{number}"
                file.filelist.append(again)
            file._didModify = True  # type: ignore[attr-defined]

    assert "started over (not a checkpoint (ValueError))" in notes_of_restart(
        tmp_path, put(torch.zeros(9999), "more"), doubled
    )
