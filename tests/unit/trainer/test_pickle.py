"""Pickle files that run a program when loaded, in each place where a training reads files of others: none runs."""

import ast
import hashlib
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import vott_trainer
from tests.unit.trainer.toy_learner import ToyLearner, ToyParameters, toy_run
from vott_trainer.errors import InterruptedTrainingError, InvalidParametersError
from vott_trainer.learning import checkpoint_file, initial_weights, learn, weights
from vott_trainer.process.ranks import Ranks
from vott_trainer.stores.checkpoint_index import INDEX

PACKAGE = Path(vott_trainer.__file__).parent
LABELS = ["cat"]


class Program:
    """An object that pickle loads by a call of `open`, which makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self._path, "w"))


def _with_torch(program: Program, path: Path) -> None:
    torch.save({"model": program}, path)


def _with_old_torch(program: Program, path: Path) -> None:
    torch.save({"model": program}, path, _use_new_zipfile_serialization=False)


def _bare(program: Program, path: Path) -> None:
    path.write_bytes(pickle.dumps({"model": program}))


def _with_numpy(program: Program, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([program], dtype=object), allow_pickle=True)


WRITERS = [_with_torch, _with_old_torch, _bare, _with_numpy]
Write = Callable[[Program, Path], None]


@pytest.fixture(params=WRITERS, ids=lambda write: write.__name__)
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file that makes pickle create the file `ran` beside it."""
    request.param(Program(tmp_path / "ran"), tmp_path / "planted")
    return tmp_path / "planted"


def found(url: str, path: Path) -> initial_weights.Weights | None:
    """Find the file as initial weights, fetched from `url`."""
    run: Any = SimpleNamespace(fetch=lambda _url, _name: path, ranks=Ranks(), note=lambda _sentence: None)
    return initial_weights.find(run, url, "fcos_tiny", LABELS)


def test_the_planted_file_would_run(tmp_path: Path) -> None:
    _bare(Program(tmp_path / "ran"), tmp_path / "planted")
    pickle.loads((tmp_path / "planted").read_bytes())["model"].close()
    assert (tmp_path / "ran").exists()


def test_checkpoint_runs_nothing(planted: Path) -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        checkpoint_file.read(planted)
    assert not (planted.parent / "ran").exists()


@pytest.mark.parametrize("name", ["model.pt", "model.tgz", "model.safetensors", "model.npy"])
def test_initial_weights_run_nothing_whatever_they_are_called(name: str, planted: Path) -> None:
    with pytest.raises(InvalidParametersError, match="initialWeights"):
        found(f"https://store/{name}", planted)
    assert not (planted.parent / "ran").exists()


def test_initial_weights_in_a_model_archive_run_nothing(planted: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "model.tgz", "w:gz") as archive:
        for name in ("model.pt", "data.pkl", weights.FILE):
            archive.add(planted, name)
    with pytest.raises(InvalidParametersError, match="can't be read"):
        found("https://store/model.tgz", tmp_path / "model.tgz")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "about",
    [
        "[]", "3", "null", '{"labels": 7}', '{"labels": [1]}', '{"labels": "cat"}', '{"labels": [""]}', '{"architecture": []}', "[" * 5000,
        '{"architecture": {}}', json.dumps({"architecture": "A" * 101}), json.dumps({"labels": ["A" * 201]}),
        json.dumps({"labels": ["cat"] * 10_001}), '{"architecture": "\\u001b[31m"}', '{"labels": ["a\\nb"]}', '{"labels": ["\\u202e"]}',
    ],
    ids=lambda about: about[:30],
)  # fmt: skip
def test_initial_weights_with_invalid_metadata_are_refused(about: str, tmp_path: Path) -> None:
    save_file({"tensor": torch.zeros(1)}, tmp_path / "file", {weights.METADATA_KEY: about})
    with pytest.raises(InvalidParametersError, match="are not those of a model of this trainer"):
        found("https://store/model.safetensors", tmp_path / "file")


def test_training_with_a_replaced_checkpoint_starts_over(planted: Path, tmp_path: Path) -> None:
    store, parameters = tmp_path / "store", ToyParameters(epochs=2, batchSize=6)
    stopped = toy_run(tmp_path / "first", store=store)
    stopped.interruption.defer()
    stopped.interruption.request()
    with pytest.raises(InterruptedTrainingError):
        learn(ToyLearner(), stopped, parameters)
    index = json.loads((store / INDEX).read_text())
    for checkpoint in index["checkpoints"]:
        checkpoint["sha256"] = hashlib.sha256(planted.read_bytes()).hexdigest()
        (store / checkpoint["slot"]).write_bytes(planted.read_bytes())
    (store / INDEX).write_text(json.dumps(index))
    run = toy_run(tmp_path / "second", store=store)
    learn(ToyLearner(), run, parameters)
    assert [note for note in run.notes if "did not fit this training, which started over" in note]
    assert not (tmp_path / "ran").exists()


def test_no_module_loads_pickled_objects() -> None:
    """torch.load only with weights_only=True; no pickle, no numpy.load, no collective operation of torch that pickles."""
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    assert [path.name for path, module in modules.items() if any(map(_may_run, ast.walk(module)))] == []


def _may_run(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load"), keywords=keywords):
            safe = [one for one in keywords if one.arg == "weights_only" and isinstance(one.value, ast.Constant)]
            return [one.value.value for one in safe] != [True]  # type: ignore[attr-defined]
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="load")):
            return True
        case ast.Attribute(attr=name):
            return name in {"all_gather_object", "broadcast_object_list", "gather_object", "recv_object_list"}
        case ast.Import(names=names):
            return not {"pickle", "dill", "joblib", "shelve", "marshal"}.isdisjoint(name.name for name in names)
    return False
