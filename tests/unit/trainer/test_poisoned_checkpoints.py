"""Who may write to the place of a training's checkpoints can't end it for ever: it begins anew, and says why."""

import copy
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.test_resume import EPOCHS, PARAMETERS, StopsAt, as_toy, went_on
from tests.unit.trainer.toy_learner import ToyLearner, toy_run
from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.learning import learn


def planted(
    store: Path, change: Callable[[dict[str, Any]], None], repack: Callable[[Path], None] | None = None
) -> None:
    """Change what the checkpoints hold, as who may write there could: with digests that agree."""
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


def began_anew(tmp_path: Path, change: Callable[[dict[str, Any]], None], repack: Any = None) -> str:
    """Go on from a planted checkpoint to the training's end; return the notes."""
    parameters = PARAMETERS.model_copy(update={"early_stopping": 9})
    first = toy_run(tmp_path / "first", store=tmp_path / "store")
    with pytest.raises(InterruptedTrainingError):
        learn(as_toy(StopsAt(7, first.interruption.request)), first, parameters)
    planted(tmp_path / "store", change, repack)
    run = toy_run(tmp_path / "second", store=tmp_path / "store")
    assert len(learn(ToyLearner(), run, parameters).history) == EPOCHS
    assert not went_on(run)
    return "\n".join(run.notes)


WEIGHT = "layers.0.weight"
POISON: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "epoch is text": (put("x", "epoch"), "epoch: Input should be a valid integer"),
    "epoch below 1": (put(0, "epoch"), "epoch: "),
    "epoch without its rows": (put(1 << 30, "epoch"), "history.epochs: expected a row for each epoch"),
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
    "best of another network": (put({"x": torch.ones(3)}, "best"), "best is not of this network"),
    "best of another shape": (put(torch.ones(3), "best", WEIGHT), f"best.{WEIGHT} is not"),
    "model that is no number": (put(torch.full((16, 2), torch.nan), "model", WEIGHT), f"model.{WEIGHT} is not"),
    "average of another shape": (put(torch.ones(3), "average", "model", WEIGHT), f"average.model.{WEIGHT} is not"),
    "average counted in text": (put("x", "average", "count"), "average.count is not"),
    "huge moments": (put(torch.ones(1).expand(10**12), "optimizer", "state", 0, "exp_avg"), "optimizer.0.exp_avg is"),
    "moments of no parameter": (put({}, "optimizer", "state", 999), "optimizer: other parameters"),
    "no optimizer": (put(3, "optimizer"), "optimizer: no state of AdamW"),
    "learning rate of text": (put("x", "optimizer", "param_groups", 0, "lr"), "optimizer.0.lr is not"),
    "learning rate beyond all numbers": (put(10**400, "optimizer", "param_groups", 0, "lr"), "OverflowError"),
    "schedule of text": (put("x", "schedule", "last_epoch"), "schedule.last_epoch is not"),
    "schedule with more": (put(3, "schedule", "step"), "schedule is not"),
}


@pytest.mark.parametrize("poison", POISON)
def test_training_whose_checkpoint_was_poisoned_begins_anew_and_says_why(poison: str, tmp_path: Path) -> None:
    change, reason = POISON[poison]
    notes = began_anew(tmp_path, change)
    assert f"did not fit this training, which began anew ({reason}" in notes
    assert len(notes) < 1000


def test_checkpoint_of_a_list_begins_anew(tmp_path: Path) -> None:
    notes = began_anew(tmp_path, lambda _saved: None, lambda path: torch.save([1], path))
    assert "began anew (no saved training (nothing with names))" in notes


def test_compressed_checkpoint_is_not_read(tmp_path: Path) -> None:
    notes = began_anew(tmp_path, put(torch.zeros(1_000_000), "more"), compressed)
    assert "began anew (no saved training (ValueError))" in notes


def test_checkpoint_whose_entries_share_their_bytes_is_not_read(tmp_path: Path) -> None:
    def doubled(path: Path) -> None:
        """Let two entries of the directory lead to one content."""
        with zipfile.ZipFile(path, "a") as file:
            largest = max(file.infolist(), key=lambda entry: entry.file_size)
            for number in range(100):
                again = copy.copy(largest)
                again.filename = again.orig_filename = f"archive/data/9{number}"
                file.filelist.append(again)
            file._didModify = True  # type: ignore[attr-defined]

    assert "began anew (no saved training (ValueError))" in began_anew(
        tmp_path, put(torch.zeros(9999), "more"), doubled
    )
