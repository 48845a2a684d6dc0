"""What a training begins with: the image's own weights, an earlier model, or nothing."""

import hashlib
import json
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models

from tests.support.annotated_images import serve_annotated
from tests.support.http_server import HttpServer
from tests.support.trainer_process import CHECKOUT
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

HEADS = DETECTORS["fcos_tiny"].heads
DOCKERFILE = CHECKOUT / "trainer-image/Dockerfile"


@pytest.fixture
def run(tmp_path: Path) -> TrainingRun:
    return TrainingRun(Links("", "", None), tmp_path / "work", Progress())


def detector(seed: int, *labels: str) -> nn.Module:
    torch.manual_seed(seed)
    return detectors.build("fcos_tiny", len(labels), 96)


def saved(folder: Path, *labels: str) -> nn.Module:
    """Save a model as a training does; return it."""
    folder.mkdir(parents=True)
    model = detector(1, *labels)
    weights.save(model, folder, "fcos_tiny", labels)
    return model


def baked(folder: Path) -> Mapping[str, str]:
    """Make what an image with weights has; return the environment that names it."""
    saved(folder / "made", "cat", "dog")
    (folder / "made/model.safetensors").rename(folder / "fcos_tiny.safetensors")
    return {"VOTT_WEIGHTS": str(folder)}


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_what_is_saved_loads_as_it_was(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", "cat", "dog")
    again = weights.load(detector(2, "cat", "dog"), tmp_path / "model")
    assert equal(model, again)
    assert not again.training
    assert (tmp_path / "model/labels.txt").read_text() == "cat\ndog\n"


def test_weights_of_another_network_are_not_loaded(tmp_path: Path) -> None:
    saved(tmp_path / "model", "cat")
    with pytest.raises(InvalidParametersError, match="does not fit this network"):
        weights.load(nn.Linear(2, 2), tmp_path / "model")


def test_the_images_own_weights_are_the_default(run: TrainingRun, tmp_path: Path) -> None:
    found = initial_weights.find(run, None, "fcos_tiny", ["dog", "fox"], baked(tmp_path / "weights"))
    assert found
    assert run.notes == ["The training started from the image's weights for fcos_tiny (known classes: dog; new: fox)."]


def test_weights_that_know_none_of_the_classes_say_so(run: TrainingRun, tmp_path: Path) -> None:
    assert initial_weights.find(run, None, "fcos_tiny", ["fox"], baked(tmp_path / "weights"))
    assert run.notes == ["The training started from the image's weights for fcos_tiny (all classes are new)."]


@pytest.mark.parametrize(("wanted", "architecture"), [("none", "fcos_tiny"), (None, "resnet18")])
def test_without_weights_the_network_begins_at_random(
    wanted: str | None, architecture: str, run: TrainingRun, tmp_path: Path
) -> None:
    assert initial_weights.find(run, wanted, architecture, ["dog"], baked(tmp_path / "weights")) is None
    assert run.notes == []
    model, same = detector(5, "dog"), detector(5, "dog")
    initial_weights.initialize(model, None, ["dog"], HEADS)
    assert equal(model, same)


def test_baked_weights_that_are_asked_for_must_be_there(run: TrainingRun, tmp_path: Path) -> None:
    with pytest.raises(InvalidParametersError, match=r"no weights for resnet18 \(available: fcos_tiny\)"):
        initial_weights.find(run, "baked", "resnet18", ["dog"], baked(tmp_path / "weights"))
    with pytest.raises(InvalidParametersError, match=r"no weights for resnet18 \(available: none\)"):
        initial_weights.find(run, "baked", "resnet18", ["dog"], {"VOTT_WEIGHTS": str(tmp_path / "nowhere")})


@pytest.mark.parametrize("name", ["model.tgz", "model.safetensors"])
def test_an_earlier_model_is_fetched(name: str, run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    model = saved(tmp_path / "model", "cat", "dog")
    model_archive.pack(tmp_path / "model", tmp_path / "model.tgz")
    file = tmp_path / name if name == "model.tgz" else tmp_path / "model" / name
    url = server.serve(f"/models/{name}", file.read_bytes())
    found = initial_weights.find(run, f"{url}?sig=SECRET", "fcos_tiny", ["cat", "dog"])
    again = detector(2, "cat", "dog")
    initial_weights.initialize(again, found, ["cat", "dog"], HEADS)
    assert equal(model, again)
    assert run.notes == [f"The training started from the model at {url} (known classes: cat, dog)."]


def test_known_classes_keep_what_was_learned_of_them(run: TrainingRun, tmp_path: Path) -> None:
    old = saved(tmp_path / "weights", "cat", "dog")
    (tmp_path / "weights/model.safetensors").rename(tmp_path / "weights/fcos_tiny.safetensors")
    labels = ["ant", "cat", "fox"]
    fresh, model = detector(2, *labels), detector(2, *labels)
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


SMALL = [
    *((name, detectors.build, detectors.DETECTORS[name].heads) for name in DETECTORS if "rf_detr" not in name),
    *(
        (name, lambda name, labels, _size: classifiers.build(name, labels), one.heads)
        for name, one in classifiers.CLASSIFIERS.items()
    ),
]


@pytest.mark.parametrize(("name", "build", "heads"), SMALL, ids=[name for name, *_ in SMALL])
def test_classes_in_another_order_lose_nothing_on_the_way_there_and_back(
    name: str, build: Callable[[str, int, int], nn.Module], heads: Sequence[initial_weights.Head], tmp_path: Path
) -> None:
    orders = [["a", "b", "c"], ["c", "a", "b"], ["a", "b", "c"]]
    first, *others = (build(name, 3, 64) for _ in orders)
    before, given = first, orders[0]
    for model, labels in zip(others, orders[1:], strict=True):
        weights.save(before, tmp_path, name, given)
        found = initial_weights.Weights(tmp_path / "model.safetensors", "", name, given)
        initial_weights.initialize(model, found, labels, heads)
        before, given = model, labels
    assert equal(first, before)
    prefix = heads[0].prefix
    assert not torch.equal(first.state_dict()[f"{prefix}weight"], others[0].state_dict()[f"{prefix}weight"])


def refused(run: TrainingRun, wanted: str, architecture: str = "fcos_tiny") -> str:
    """Return why `wanted` is refused."""

    def begin() -> None:
        initial_weights.initialize(
            detector(1, "cat"),
            initial_weights.find(run, wanted, architecture, ["cat"], known=DETECTORS),
            ["cat"],
            HEADS,
        )

    with pytest.raises(InvalidParametersError) as error:
        begin()
    assert "SECRET" not in str(error.value)
    return str(error.value)


def test_another_architecture_is_refused_with_its_name(run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    saved(tmp_path / "model", "cat")
    url = server.serve("/model.safetensors", (tmp_path / "model/model.safetensors").read_bytes())
    told = refused(run, f"{url}?sig=SECRET", "fcos_resnet50_fpn")
    assert (
        f"initialWeights: the model at {url} is a fcos_tiny, but this training uses fcos_resnet50_fpn. Set architecture to"
        in told
    )


def test_the_model_of_another_plugin_is_no_reason_to_set_an_architecture(
    run: TrainingRun, server: HttpServer, tmp_path: Path
) -> None:
    weights.save(nn.Linear(1, 1), tmp_path, "resnet_tiny", ["cat"])
    url = server.serve("/model.safetensors", (tmp_path / "model.safetensors").read_bytes())
    told = refused(run, url)
    assert (
        "is a resnet_tiny, but this training uses fcos_tiny. This plugin has no such architecture. Name another" in told
    )


def test_weights_of_other_shapes_are_refused_with_the_first_that_differs(
    run: TrainingRun, server: HttpServer, tmp_path: Path
) -> None:
    weights.save(nn.Conv2d(1, 1, 1), tmp_path, "fcos_tiny", ["cat"])
    url = server.serve("/model.safetensors", (tmp_path / "model.safetensors").read_bytes())
    assert "does not fit this network: backbone.stem.0.0.weight is missing" in refused(run, url)


def changed(server: HttpServer, folder: Path, name: str, tensor: torch.Tensor) -> str:
    """Serve a model of one class, one tensor of which is another; return its URL."""
    saved(folder, "cat")
    tensors = {**load_file(folder / "model.safetensors"), name: tensor}
    save_file(tensors, folder / "hostile", {"vott": json.dumps({"architecture": "fcos_tiny", "labels": ["cat"]})})
    return server.serve("/model.safetensors", (folder / "hostile").read_bytes())


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_a_head_of_another_number_of_dimensions_begins_at_random(
    part: str, run: TrainingRun, server: HttpServer, tmp_path: Path
) -> None:
    name = f"{HEADS[0].prefix}{part}"
    url = changed(server, tmp_path / "model", name, torch.tensor(3.0))
    model = detector(2, "cat")
    initial_weights.initialize(model, initial_weights.find(run, url, "fcos_tiny", ["cat"]), ["cat"], HEADS)
    assert torch.equal(model.state_dict()[name], detector(2, "cat").state_dict()[name])


def test_a_tensor_of_many_dimensions_makes_no_long_error(run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    url = changed(server, tmp_path / "model", "backbone.stem.0.0.weight", torch.zeros([1] * 60))
    told = refused(run, url)
    assert "backbone.stem.0.0.weight has shape of 60 dimensions, not" in told


@pytest.mark.parametrize("name", ["model.tgz", "model.safetensors"])
def test_a_file_that_is_no_model_is_refused(name: str, run: TrainingRun, server: HttpServer) -> None:
    url = server.serve(f"/{name}", b"neither of them")
    assert url in refused(run, f"{url}?sig=SECRET")


def test_a_damaged_archive_is_refused(run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    saved(tmp_path / "model", "cat")
    model_archive.pack(tmp_path / "model", tmp_path / "model.tgz")
    content = bytearray((tmp_path / "model.tgz").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(255 - byte for byte in content[middle : middle + 2000])
    url = server.serve("/model.tgz", bytes(content))
    assert f"the file at {url} is not a model.tgz with model.safetensors in it" in refused(run, url)


def test_an_archive_without_weights_is_refused(run: TrainingRun, server: HttpServer, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/hello.json").write_text("{}")
    model_archive.pack(tmp_path / "model", tmp_path / "model.tgz")
    url = server.serve("/model.tgz", (tmp_path / "model.tgz").read_bytes())
    assert "is not a model.tgz with model.safetensors in it" in refused(run, url)


@pytest.mark.parametrize("wanted", ["imagenet", "file:///etc/passwd", "/etc/passwd"])
def test_what_is_neither_name_nor_url_is_refused(wanted: str, run: TrainingRun) -> None:
    assert "expected `baked`, `none` or an http(s) URL" in refused(run, wanted)


def published(server: HttpServer, tmp_path: Path, model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Serve a state as torchvision does; return its URL and SHA-256."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    torch.save(model.state_dict(), tmp_path / "state.pth")
    content = (tmp_path / "state.pth").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    return server.serve(f"/state-{sha256[:8]}.pth", content), sha256


def in_cache(tmp_path: Path, url: str) -> Path:
    """Return where torch keeps what it fetched from `url`."""
    return tmp_path / "torch/hub/checkpoints" / url.rpartition("/")[2]


def test_weights_are_baked_for_a_detector(
    bake: ModuleType, server: HttpServer, run: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = detector(3, "cat", "dog")
    url, sha256 = published(server, tmp_path, model, monkeypatch)
    bake.bake_torchvision("fcos_tiny", url, ["__background__", "cat", "dog"], sha256, tmp_path)
    found = initial_weights.find(run, "baked", "fcos_tiny", ["cat", "dog"], {"VOTT_WEIGHTS": str(tmp_path)})
    again = detector(4, "cat", "dog")
    initial_weights.initialize(again, found, ["cat", "dog"], HEADS)
    assert equal(model, again)
    with safe_open(tmp_path / "fcos_tiny.safetensors", "pt") as file:
        about = json.loads(file.metadata()["vott"])
        assert (about["sha256"], about["labels"]) == (sha256, ["cat", "dog"])


def test_weights_are_baked_for_a_classifier(
    bake: ModuleType, server: HttpServer, run: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = classifiers.build("resnet_tiny", 2)
    url, _ = published(server, tmp_path, model.network, monkeypatch)  # type: ignore[arg-type]
    bake.bake_torchvision("resnet_tiny", url, ["cat", "dog"], "", tmp_path)
    found = initial_weights.find(run, "baked", "resnet_tiny", ["dog", "cat"], {"VOTT_WEIGHTS": str(tmp_path)})
    again = classifiers.build("resnet_tiny", 2)
    initial_weights.initialize(again, found, ["dog", "cat"], classifiers.CLASSIFIERS["resnet_tiny"].heads)
    assert torch.equal(again.state_dict()["network.fc.weight"], model.state_dict()["network.fc.weight"].flip(0))


@pytest.mark.parametrize("begun_by", ["a download", "a cache"])
@pytest.mark.parametrize("pinned", [True, False], ids=["whole digest", "digits in the name"])
def test_a_file_that_is_not_the_one_wanted_ends_the_build(
    begun_by: str, pinned: bool, bake: ModuleType, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, sha256 = published(server, tmp_path, nn.Linear(1, 1), monkeypatch)
    torch.save(nn.Linear(1, 1).state_dict(), tmp_path / "other.pth")
    other, cached = (tmp_path / "other.pth").read_bytes(), in_cache(tmp_path, url)
    if begun_by == "a cache":
        cached.parent.mkdir(parents=True)
        cached.write_bytes(other)
    else:
        server.files[url.removeprefix(server.url)] = other
    wanted = sha256 if pinned else f"{sha256[:8]}…, as in its name"
    with pytest.raises(SystemExit) as error:
        bake.bake_torchvision("fcos_tiny", url, ["cat"], sha256 if pinned else "", tmp_path)
    assert str(error.value) == f"fcos_tiny: the file has SHA-256 {hashlib.sha256(other).hexdigest()}, not {wanted}"
    assert not list(tmp_path.glob("*.safetensors"))
    assert not cached.exists()  # else it would be found again


def test_the_whole_digest_counts_where_one_is_given(
    bake: ModuleType, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, sha256 = published(server, tmp_path, nn.Linear(1, 1), monkeypatch)
    almost = sha256[:8] + ("0" if sha256[8] != "0" else "1") + sha256[9:]
    with pytest.raises(SystemExit, match=f"not {almost}"):
        bake.bake_torchvision("fcos_tiny", url, ["cat"], almost, tmp_path)


def test_the_build_tells_what_it_checked(
    bake: ModuleType,
    server: HttpServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, sha256 = published(server, tmp_path, nn.Linear(1, 1), monkeypatch)
    for digest in (sha256, ""):
        bake.bake_torchvision("fcos_tiny", url, ["cat"], digest, tmp_path)
    pinned = f"fcos_tiny@sha256:{sha256}"
    assert capsys.readouterr().out == (
        f"{pinned}: the whole SHA-256 was checked\n"
        f"{pinned}: only the first 8 hex digits were checked; write it like this to pin the file\n"
    )


def test_a_file_whose_name_tells_nothing_needs_a_digest(
    bake: ModuleType, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, sha256 = published(server, tmp_path, nn.Linear(1, 1), monkeypatch)
    nameless = server.serve("/state.pth", server.files[url.removeprefix(server.url)])
    with pytest.raises(SystemExit, match=f"If you trust it, write fcos_tiny@sha256:{sha256}"):
        bake.bake_torchvision("fcos_tiny", nameless, ["cat"], "", tmp_path)
    bake.bake_torchvision("fcos_tiny", nameless, ["cat"], sha256, tmp_path)


@pytest.mark.parametrize("wanted", ["resnet18@sha256:", "resnet18@sha256:11ad", f"resnet18@sha1:{64 * '0'}"])
def test_a_digest_that_is_none_ends_the_build(wanted: str, bake: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="expected NAME or NAME@sha256:DIGEST with 64 lower-case hex digits"):
        bake.main(tmp_path, [wanted])


def test_the_images_default_weights_are_pinned_and_those_of_this_torchvision(bake: ModuleType) -> None:
    default = re.search(r'^ARG WEIGHTS="([^"]*)"', DOCKERFILE.read_text(), re.MULTILINE)
    assert default
    wanted = [bake.SPECIFICATION.fullmatch(one) for one in default[1].replace("\\\n", "").split()]
    assert [one["name"] for one in wanted] == [detectors.ON_GPU, classifiers.ON_GPU]
    for one in wanted:
        named = bake.DIGEST_IN_NAME.search(models.get_model_weights(one["name"]).DEFAULT.url)
        assert one["digest"].startswith(named["digits"])


def test_untrained_weights_can_be_baked_without_a_network(
    bake: ModuleType, run: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("socket.socket.connect", None)
    name = "mobilenet_v3_small"
    bake.main(tmp_path / "weights", [f"{name}@untrained"])
    assert stat.S_IMODE((tmp_path / "weights" / f"{name}.safetensors").stat().st_mode) == 0o644  # another user reads it
    found = initial_weights.find(run, None, name, ["tench", "dog"], {"VOTT_WEIGHTS": str(tmp_path / "weights")})
    model = classifiers.build(name, 2)
    initial_weights.initialize(model, found, ["tench", "dog"], classifiers.CLASSIFIERS[name].heads)
    begun = load_file(tmp_path / "weights" / f"{name}.safetensors")["network.features.0.0.weight"]
    assert torch.equal(model.state_dict()["network.features.0.0.weight"], begun)
    assert "known classes: tench; new: dog" in run.notes[0]


def test_a_training_that_begins_with_an_earlier_model_needs_fewer_epochs(server: HttpServer, tmp_path: Path) -> None:
    def map50(name: str, annotations: str, **parameters: object) -> float:
        values = validate(DetectionParameters, {"imageSize": 96, "batchSize": 4, **parameters})
        run = TrainingRun(Links(annotations, "", None), tmp_path / name, Progress(), parameters=values)
        trained = learn(Detection(), run, values)  # type: ignore[arg-type]
        return trained.metrics["mAP50"]

    annotations = serve_annotated(server, 24)
    map50("earlier", annotations, epochs=16)  # learned on every CPU: after 10 some reach mAP50 0.35 only
    model = server.serve("/model.safetensors", (tmp_path / "earlier/model/model.safetensors").read_bytes())
    anew = map50("anew", annotations, epochs=1, initialWeights="none")
    went_on = map50("went on", annotations, epochs=1, initialWeights=model)
    assert went_on > anew + 0.4
