"""bake_weights.py, which stores pretrained weights in the image: digests, and weights that the trainer then finds."""

import argparse
import hashlib
import importlib.util
import json
import re
import stat
from pathlib import Path
from pickle import UnpicklingError
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models
from transformers import DFineConfig, DFineForObjectDetection, RfDetrConfig, RfDetrForObjectDetection

from tests.integration.trainer.small_models import HEADS, equal_weights, tiny_fcos
from tests.support.http_server import HttpServer
from tests.support.tiny_detrs import tiny_configuration, tiny_detr, tiny_detrs
from tests.support.trainer_process import CHECKOUT
from vott_trainer.learning import initial_weights
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision import classifiers, detectors

DOCKERFILE = CHECKOUT / "trainer-image/Dockerfile"


@pytest.fixture(scope="module")
def bake() -> ModuleType:
    """trainer-image/bake_weights.py, loaded as a module."""
    spec = importlib.util.spec_from_file_location("bake_weights", CHECKOUT / "trainer-image/bake_weights.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def publish(server: HttpServer, tmp_path: Path, model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Serve a state_dict as torchvision does; return its URL and SHA-256."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    torch.save(model.state_dict(), tmp_path / "state.pth")
    content = (tmp_path / "state.pth").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    return server.serve(f"/state-{sha256[:8]}.pth", content), sha256


def cached_path(tmp_path: Path, url: str) -> Path:
    """The path of a URL's file in torch's download cache."""
    return tmp_path / "torch/hub/checkpoints" / url.rpartition("/")[2]


def test_weights_are_baked_for_a_detector(
    bake: ModuleType, server: HttpServer, run: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_fcos(3, "cat", "dog")
    url, sha256 = publish(server, tmp_path, model, monkeypatch)
    bake.bake_torchvision("fcos_tiny", url, ["__background__", "cat", "dog"], sha256, tmp_path)
    found = initial_weights.find(run, "baked", "fcos_tiny", ["cat", "dog"], {"VOTT_WEIGHTS": str(tmp_path)})
    initialized = tiny_fcos(4, "cat", "dog")
    initial_weights.initialize(initialized, found, ["cat", "dog"], HEADS)
    assert equal_weights(model, initialized)
    with safe_open(tmp_path / "fcos_tiny.safetensors", "pt") as file:
        metadata = json.loads(file.metadata()["vott"])
        assert (metadata["sha256"], metadata["labels"]) == (sha256, ["cat", "dog"])


def test_weights_are_baked_for_a_classifier(
    bake: ModuleType, server: HttpServer, run: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = classifiers.build("resnet_tiny", 2)
    url, _ = publish(server, tmp_path, model.network, monkeypatch)  # type: ignore[arg-type]
    bake.bake_torchvision("resnet_tiny", url, ["cat", "dog"], "", tmp_path)
    found = initial_weights.find(run, "baked", "resnet_tiny", ["dog", "cat"], {"VOTT_WEIGHTS": str(tmp_path)})
    initialized = classifiers.build("resnet_tiny", 2)
    initial_weights.initialize(initialized, found, ["dog", "cat"], classifiers.CLASSIFIERS["resnet_tiny"].heads)
    assert torch.equal(initialized.state_dict()["network.fc.weight"], model.state_dict()["network.fc.weight"].flip(0))


def publish_detr(
    name: str, bake: ModuleType, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Tensor]:
    """Serve a tiny network as its authors do, with names of their own; return its weights under the trainer's."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    is_rf_detr = name.startswith("rf_detr")
    options = {**tiny_configuration(name), "num_labels": 91 if is_rf_detr else 80}
    if is_rf_detr:
        network: Any = RfDetrForObjectDetection(RfDetrConfig(**options))
    else:
        network = DFineForObjectDetection(DFineConfig(**options))
    network.save_pretrained(tmp_path / "published")  # under the authors' names
    file = tmp_path / "published/model.safetensors"
    if is_rf_detr:
        arguments = argparse.Namespace(pretrain_weights="none")
        torch.save({"model": load_file(file), "args": arguments}, file := tmp_path / "checkpoint.pth")
    url = server.serve(f"/{file.name}", content := file.read_bytes())
    published = bake.Published(url, hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(bake.DETRS, name, published)
    return {f"network.{key}": tensor for key, tensor in network.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "person", "head"),
    [("rf_detr_nano", 1, "network.class_embed"), ("d_fine_nano", 0, "network.model.decoder.class_embed.1")],
)
def test_detrs_are_baked_with_cocos_classes_and_all_weights(
    name: str,
    person: int,
    head: str,
    bake: ModuleType,
    server: HttpServer,
    run: TrainingRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tiny_detrs():
        source = publish_detr(name, bake, server, tmp_path, monkeypatch)
        bake.main(tmp_path, [name])
        model = tiny_detr(name, 2)
    found = initial_weights.find(run, "baked", name, ["person", "gnome"], {"VOTT_WEIGHTS": str(tmp_path)})
    initial_weights.initialize(model, found, ["person", "gnome"], detectors.DETECTORS[name].heads)
    for key, tensor in model.state_dict().items():
        if not any(key.startswith(one.prefix) for one in detectors.DETECTORS[name].heads):
            assert key.endswith("num_batches_tracked") or torch.equal(tensor, source[key]), key
    rows, other = model.state_dict()[f"{head}.weight"], source[f"{head}.weight"]
    assert torch.equal(rows[0], other[person])
    assert not any(torch.equal(rows[1], row) for row in other)


@pytest.mark.parametrize("name", ["rf_detr_nano", "d_fine_nano"])
def test_detr_with_another_digest_than_its_authors_or_the_given_one_fails_the_build(
    name: str, bake: ModuleType, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tiny_detrs():
        publish_detr(name, bake, server, tmp_path, monkeypatch)
        with pytest.raises(SystemExit, match=f"not {'0' * 64}"):
            bake.main(tmp_path, [f"{name}@sha256:{'0' * 64}"])
        changed = bake.DETRS[name]._replace(sha256="1" * 64)
        monkeypatch.setitem(bake.DETRS, name, changed)
        with pytest.raises(SystemExit, match=f"not {'1' * 64}"):
            bake.main(tmp_path, [name])
    assert not list(tmp_path.glob("*.safetensors"))


def test_detr_of_another_size_fails_the_build(
    bake: ModuleType, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tiny_detrs():
        publish_detr("rf_detr_nano", bake, server, tmp_path, monkeypatch)
    with (
        tiny_detrs(decoder_layers=3),
        pytest.raises(SystemExit, match=r"does not fit this network: model\.decoder\.layers\.2"),
    ):
        bake.main(tmp_path, ["rf_detr_nano"])


def test_checkpoint_that_would_run_code_fails_the_build(bake: ModuleType, tmp_path: Path) -> None:
    torch.save({"model": {}, "args": Path("/")}, tmp_path / "checkpoint.pth")
    with pytest.raises(UnpicklingError):
        bake._state(tmp_path / "checkpoint.pth")


@pytest.mark.parametrize("source", ["download", "cache"])
@pytest.mark.parametrize("pinned", [True, False], ids=["whole digest", "digits in the name"])
def test_file_with_another_digest_fails_the_build(
    source: str, pinned: bool, bake: ModuleType, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, sha256 = publish(server, tmp_path, nn.Linear(1, 1), monkeypatch)
    torch.save(nn.Linear(1, 1).state_dict(), tmp_path / "other.pth")
    other, cached = (tmp_path / "other.pth").read_bytes(), cached_path(tmp_path, url)
    if source == "cache":
        cached.parent.mkdir(parents=True)
        cached.write_bytes(other)
    else:
        server.files[url.removeprefix(server.url)] = other
    expected = sha256 if pinned else f"{sha256[:8]}…, as in its name"
    with pytest.raises(SystemExit) as error:
        bake.bake_torchvision("fcos_tiny", url, ["cat"], sha256 if pinned else "", tmp_path)
    assert str(error.value) == f"fcos_tiny: the file has SHA-256 {hashlib.sha256(other).hexdigest()}, not {expected}"
    assert not list(tmp_path.glob("*.safetensors"))
    assert not cached.exists()  # or the next build would use it


def test_given_digest_is_compared_completely(
    bake: ModuleType, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, sha256 = publish(server, tmp_path, nn.Linear(1, 1), monkeypatch)
    similar = sha256[:8] + ("0" if sha256[8] != "0" else "1") + sha256[9:]
    with pytest.raises(SystemExit, match=f"not {similar}"):
        bake.bake_torchvision("fcos_tiny", url, ["cat"], similar, tmp_path)


def test_build_prints_what_it_checked(
    bake: ModuleType,
    server: HttpServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, sha256 = publish(server, tmp_path, nn.Linear(1, 1), monkeypatch)
    for digest in (sha256, ""):
        bake.bake_torchvision("fcos_tiny", url, ["cat"], digest, tmp_path)
    pinned = f"fcos_tiny@sha256:{sha256}"
    assert capsys.readouterr().out == (
        f"{pinned}: the whole SHA-256 was checked\n"
        f"{pinned}: only the first 8 hex digits were checked; write it like this to pin the file\n"
    )


def test_file_without_a_digest_in_its_name_needs_one(
    bake: ModuleType, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, sha256 = publish(server, tmp_path, nn.Linear(1, 1), monkeypatch)
    nameless = server.serve("/state.pth", server.files[url.removeprefix(server.url)])
    with pytest.raises(SystemExit, match=f"If you trust it, write fcos_tiny@sha256:{sha256}"):
        bake.bake_torchvision("fcos_tiny", nameless, ["cat"], "", tmp_path)
    bake.bake_torchvision("fcos_tiny", nameless, ["cat"], sha256, tmp_path)


@pytest.mark.parametrize("specification", ["resnet18@sha256:", "resnet18@sha256:11ad", f"resnet18@sha1:{64 * '0'}"])
def test_invalid_digest_fails_the_build(specification: str, bake: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="expected NAME or NAME@sha256:DIGEST with 64 lower-case hex digits"):
        bake.main(tmp_path, [specification])


def test_default_weights_of_the_image_are_pinned_to_those_of_this_torchvision(bake: ModuleType) -> None:
    default = re.search(r'^ARG WEIGHTS="([^"]*)"', DOCKERFILE.read_text(), re.MULTILINE)
    assert default
    specifications = [bake.SPECIFICATION.fullmatch(one) for one in default[1].replace("\\\n", "").split()]
    assert [one["name"] for one in specifications] == [*detectors.ON_GPU, *classifiers.ON_GPU]
    assert specifications[0]["digest"] == bake.DETRS["rf_detr_small"].sha256
    for one in specifications[1:]:
        in_name = bake.DIGEST_IN_NAME.search(models.get_model_weights(one["name"]).DEFAULT.url)
        assert one["digest"].startswith(in_name["digits"])


def test_untrained_weights_are_baked_without_a_network(
    bake: ModuleType, run: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("socket.socket.connect", None)
    name = "mobilenet_v3_small"
    bake.main(tmp_path / "weights", [f"{name}@untrained"])
    assert (
        stat.S_IMODE((tmp_path / "weights" / f"{name}.safetensors").stat().st_mode) == 0o644
    )  # readable for another user
    found = initial_weights.find(run, None, name, ["tench", "dog"], {"VOTT_WEIGHTS": str(tmp_path / "weights")})
    model = classifiers.build(name, 2)
    initial_weights.initialize(model, found, ["tench", "dog"], classifiers.CLASSIFIERS[name].heads)
    baked = load_file(tmp_path / "weights" / f"{name}.safetensors")["network.features.0.0.weight"]
    assert torch.equal(model.state_dict()["network.features.0.0.weight"], baked)
    assert "known classes: tench; new: dog" in run.notes[0]
