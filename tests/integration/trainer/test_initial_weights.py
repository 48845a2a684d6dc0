"""Initial weights of a training: the image's, an earlier model's, or random."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.integration.trainer.small_models import HEADS, equal_weights, tiny_fcos
from tests.support.annotated_images import serve_annotated
from tests.support.http_server import HttpServer
from vott_trainer.errors import InvalidParametersError
from vott_trainer.learning import initial_weights, weights
from vott_trainer.learning.learn import learn
from vott_trainer.parameters import validate
from vott_trainer.plugin_api import Links
from vott_trainer.plugins.detection import Detection, DetectionParameters
from vott_trainer.progress.progress import Progress
from vott_trainer.stores import model_archive
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision import classifiers, detectors
from vott_trainer.vision.detectors import DETECTORS


def save_model(folder: Path, *labels: str) -> nn.Module:
    """Save a model as the training does; return it."""
    folder.mkdir(parents=True)
    model = tiny_fcos(1, *labels)
    weights.save(model, folder, "fcos_tiny", labels)
    return model


def bake(folder: Path) -> Mapping[str, str]:
    """Store weights as the image does; return the environment that names their folder."""
    save_model(folder / "model", "cat", "dog")
    (folder / "model/model.safetensors").rename(folder / "fcos_tiny.safetensors")
    return {"VOTT_WEIGHTS": str(folder)}


def test_saved_model_loads_with_the_same_weights(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", "cat", "dog")
    loaded = weights.load(tiny_fcos(2, "cat", "dog"), tmp_path / "model")
    assert equal_weights(model, loaded)
    assert not loaded.training
    assert (tmp_path / "model/labels.txt").read_text() == "cat\ndog\n"


def test_weights_of_another_network_are_not_loaded(tmp_path: Path) -> None:
    save_model(tmp_path / "model", "cat")
    with pytest.raises(InvalidParametersError, match="does not fit this network"):
        weights.load(nn.Linear(2, 2), tmp_path / "model")


def test_weights_of_the_image_are_the_default(run: TrainingRun, tmp_path: Path) -> None:
    found = initial_weights.find(run, None, "fcos_tiny", ["dog", "fox"], bake(tmp_path / "weights"))
    assert found
    assert run.notes == ["The training started from the image's weights for fcos_tiny (known classes: dog; new: fox)."]


def test_report_notes_that_all_classes_are_new(run: TrainingRun, tmp_path: Path) -> None:
    assert initial_weights.find(run, None, "fcos_tiny", ["fox"], bake(tmp_path / "weights"))
    assert run.notes == ["The training started from the image's weights for fcos_tiny (all classes are new)."]


@pytest.mark.parametrize(("initial", "architecture"), [("none", "fcos_tiny"), (None, "resnet18")])
def test_network_without_initial_weights_is_random(
    initial: str | None, architecture: str, run: TrainingRun, tmp_path: Path
) -> None:
    assert initial_weights.find(run, initial, architecture, ["dog"], bake(tmp_path / "weights")) is None
    assert run.notes == []
    model, same = tiny_fcos(5, "dog"), tiny_fcos(5, "dog")
    initial_weights.initialize(model, None, ["dog"], HEADS)
    assert equal_weights(model, same)


def test_large_network_never_starts_from_random_weights_unasked(run: TrainingRun, tmp_path: Path) -> None:
    empty = {"VOTT_WEIGHTS": str(tmp_path)}
    with pytest.raises(
        InvalidParametersError, match="Leave out architecture, or set initialWeights to a model or to `none`"
    ):
        initial_weights.find(run, None, "rf_detr_small", ["dog"], empty, is_large=True)
    assert initial_weights.find(run, "none", "rf_detr_small", ["dog"], empty, is_large=True) is None
    assert "random weights: expect a poor model" in run.notes[0]


def test_backbone_starts_from_the_weights_that_are_installed(run: TrainingRun, tmp_path: Path) -> None:
    default = DETECTORS["efficientnet_lite0_fpn"]
    found = initial_weights.find(
        run, None, "efficientnet_lite0_fpn", ["dog"], {"VOTT_WEIGHTS": str(tmp_path)}, packaged=default.packaged
    )
    assert found
    model, same = (detectors.build("efficientnet_lite0_fpn", 1, 320) for _ in range(2))
    same.load_state_dict(model.state_dict())
    initial_weights.initialize(model, found, ["dog"], default.heads)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, same.state_dict()[name])}
    assert changed == {name for name in model.state_dict() if name.startswith("backbone.")}
    assert run.notes == [
        "The training started from ImageNet weights for the backbone of efficientnet_lite0_fpn (all classes are new)."
    ]


def test_requested_weights_of_the_image_must_exist(run: TrainingRun, tmp_path: Path) -> None:
    with pytest.raises(InvalidParametersError, match=r"no weights for resnet18 \(available: fcos_tiny\)"):
        initial_weights.find(run, "baked", "resnet18", ["dog"], bake(tmp_path / "weights"))
    with pytest.raises(InvalidParametersError, match=r"no weights for resnet18 \(available: none\)"):
        initial_weights.find(run, "baked", "resnet18", ["dog"], {"VOTT_WEIGHTS": str(tmp_path / "nowhere")})


@pytest.mark.parametrize("name", ["model.tgz", "model.safetensors"])
def test_earlier_model_is_fetched(name: str, run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", "cat", "dog")
    model_archive.pack(tmp_path / "model", tmp_path / "model.tgz")
    file = tmp_path / name if name == "model.tgz" else tmp_path / "model" / name
    url = server.serve(f"/models/{name}", file.read_bytes())
    found = initial_weights.find(run, f"{url}?sig=SECRET", "fcos_tiny", ["cat", "dog"])
    loaded = tiny_fcos(2, "cat", "dog")
    initial_weights.initialize(loaded, found, ["cat", "dog"], HEADS)
    assert equal_weights(model, loaded)
    assert run.notes == [f"The training started from the model at {url} (known classes: cat, dog)."]


def test_known_classes_keep_their_weights(run: TrainingRun, tmp_path: Path) -> None:
    old = save_model(tmp_path / "weights", "cat", "dog")
    (tmp_path / "weights/model.safetensors").rename(tmp_path / "weights/fcos_tiny.safetensors")
    labels = ["ant", "cat", "fox"]
    fresh, model = tiny_fcos(2, *labels), tiny_fcos(2, *labels)
    initial_weights.initialize(
        model,
        initial_weights.find(run, None, "fcos_tiny", labels, {"VOTT_WEIGHTS": str(tmp_path / "weights")}),
        labels,
        HEADS,
    )
    before, random_, after = (one.state_dict()[f"{HEADS[0].prefix}weight"] for one in (old, fresh, model))
    assert torch.equal(after[0], before[0])  # the background
    assert torch.equal(after[2], before[1])  # cat
    assert torch.equal(after[[1, 3]], random_[[1, 3]])
    assert torch.equal(model.state_dict()["backbone.stem.0.0.weight"], old.state_dict()["backbone.stem.0.0.weight"])


ARCHITECTURES = [
    *((name, detectors.build, detectors.DETECTORS[name].heads) for name in DETECTORS if not DETECTORS[name].square),
    *(
        (name, lambda name, labels, _size: classifiers.build(name, labels), one.heads)
        for name, one in classifiers.CLASSIFIERS.items()
    ),
]


@pytest.mark.parametrize(("name", "build", "heads"), ARCHITECTURES, ids=[name for name, *_ in ARCHITECTURES])
def test_weights_are_unchanged_after_reordering_classes_twice(
    name: str, build: Callable[[str, int, int], nn.Module], heads: Sequence[initial_weights.Head], tmp_path: Path
) -> None:
    orders = [["a", "b", "c"], ["c", "a", "b"], ["a", "b", "c"]]
    first, *others = (build(name, 3, 64) for _ in orders)
    previous, previous_labels = first, orders[0]
    for model, labels in zip(others, orders[1:], strict=True):
        weights.save(previous, tmp_path, name, previous_labels)
        found = initial_weights.Weights(partial(load_file, tmp_path / "model.safetensors"), "", name, previous_labels)
        initial_weights.initialize(model, found, labels, heads)
        previous, previous_labels = model, labels
    assert equal_weights(first, previous)
    prefix = heads[0].prefix
    assert not torch.equal(first.state_dict()[f"{prefix}weight"], others[0].state_dict()[f"{prefix}weight"])


def refusal(run: TrainingRun, initial: str, architecture: str = "fcos_tiny") -> str:
    """The error text for `initialWeights`."""

    def find_and_initialize() -> None:
        initial_weights.initialize(
            tiny_fcos(1, "cat"),
            initial_weights.find(run, initial, architecture, ["cat"], known=DETECTORS),
            ["cat"],
            HEADS,
        )

    with pytest.raises(InvalidParametersError) as error:
        find_and_initialize()
    assert "SECRET" not in str(error.value)
    return str(error.value)


def test_model_of_another_architecture_is_refused(run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    save_model(tmp_path / "model", "cat")
    url = server.serve("/model.safetensors", (tmp_path / "model/model.safetensors").read_bytes())
    error = refusal(run, f"{url}?sig=SECRET", "fcos_resnet50_fpn")
    assert (
        f"initialWeights: the model at {url} is a fcos_tiny, but this training uses fcos_resnet50_fpn. Set architecture to"
        in error
    )


def test_model_of_another_plugin_is_refused(run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    weights.save(nn.Linear(1, 1), tmp_path, "resnet_tiny", ["cat"])
    url = server.serve("/model.safetensors", (tmp_path / "model.safetensors").read_bytes())
    error = refusal(run, url)
    assert (
        "is a resnet_tiny, but this training uses fcos_tiny. This plugin has no such architecture. Name another"
        in error
    )


def test_weights_of_other_shapes_are_refused_and_the_first_is_named(
    run: TrainingRun, server: HttpServer, tmp_path: Path
) -> None:
    weights.save(nn.Conv2d(1, 1, 1), tmp_path, "fcos_tiny", ["cat"])
    url = server.serve("/model.safetensors", (tmp_path / "model.safetensors").read_bytes())
    assert "does not fit this network: backbone.stem.0.0.weight is missing" in refusal(run, url)


def serve_changed_model(server: HttpServer, folder: Path, name: str, tensor: torch.Tensor) -> str:
    """Serve a model of one class with one tensor replaced; return its URL."""
    save_model(folder, "cat")
    tensors = {**load_file(folder / "model.safetensors"), name: tensor}
    save_file(tensors, folder / "hostile", {"vott": json.dumps({"architecture": "fcos_tiny", "labels": ["cat"]})})
    return server.serve("/model.safetensors", (folder / "hostile").read_bytes())


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_head_with_another_number_of_dimensions_is_random(
    part: str, run: TrainingRun, server: HttpServer, tmp_path: Path
) -> None:
    name = f"{HEADS[0].prefix}{part}"
    url = serve_changed_model(server, tmp_path / "model", name, torch.tensor(3.0))
    model = tiny_fcos(2, "cat")
    initial_weights.initialize(model, initial_weights.find(run, url, "fcos_tiny", ["cat"]), ["cat"], HEADS)
    assert torch.equal(model.state_dict()[name], tiny_fcos(2, "cat").state_dict()[name])


def test_error_for_a_tensor_of_many_dimensions_is_short(run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    url = serve_changed_model(server, tmp_path / "model", "backbone.stem.0.0.weight", torch.zeros([1] * 60))
    error = refusal(run, url)
    assert "backbone.stem.0.0.weight has shape of 60 dimensions, not" in error


@pytest.mark.parametrize("name", ["model.tgz", "model.safetensors"])
def test_file_that_is_not_a_model_is_refused(name: str, run: TrainingRun, server: HttpServer) -> None:
    url = server.serve(f"/{name}", b"not a model")
    assert url in refusal(run, f"{url}?sig=SECRET")


def test_damaged_archive_is_refused(run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    save_model(tmp_path / "model", "cat")
    model_archive.pack(tmp_path / "model", tmp_path / "model.tgz")
    content = bytearray((tmp_path / "model.tgz").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(255 - byte for byte in content[middle : middle + 2000])
    url = server.serve("/model.tgz", bytes(content))
    assert f"the file at {url} is not a model.tgz with model.safetensors in it" in refusal(run, url)


def test_archive_without_weights_is_refused(run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/hello.json").write_text("{}")
    model_archive.pack(tmp_path / "model", tmp_path / "model.tgz")
    url = server.serve("/model.tgz", (tmp_path / "model.tgz").read_bytes())
    assert "is not a model.tgz with model.safetensors in it" in refusal(run, url)


@pytest.mark.parametrize("initial", ["imagenet", "file:///etc/passwd", "/etc/passwd"])
def test_value_that_is_neither_a_name_nor_a_url_is_refused(initial: str, run: TrainingRun) -> None:
    assert "expected `baked`, `none` or an http(s) URL" in refusal(run, initial)


def test_training_from_an_earlier_model_needs_fewer_epochs(server: HttpServer, tmp_path: Path) -> None:
    def map50(name: str, annotations: str, **parameters: object) -> float:
        values = validate(DetectionParameters, {"imageSize": 96, "batchSize": 4, **parameters})
        run = TrainingRun(Links(annotations, "", None), tmp_path / name, Progress(), parameters=values)
        trained = learn(Detection(), run, values)  # type: ignore[arg-type]
        return trained.metrics["mAP50"]

    annotations = serve_annotated(server, 24)
    map50("earlier", annotations, epochs=16)  # enough on any CPU: after 10 epochs, some reach only mAP50 0.35
    model = server.serve("/model.safetensors", (tmp_path / "earlier/model/model.safetensors").read_bytes())
    from_random = map50("from random", annotations, epochs=1, initialWeights="none")
    from_earlier = map50("from earlier", annotations, epochs=1, initialWeights=model)
    assert from_earlier > from_random + 0.4
