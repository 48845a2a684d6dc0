"""Distributed training through the image's entry point: several processes on one node, and two nodes that meet at 127.0.0.1."""

import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from localcluster.ports import free_ports
from tests.support.annotated_images import serve_annotated
from tests.support.http_server import Answer, HttpServer
from tests.support.step_gradients import StepResult, crowded_images, save_step_of_rank, step_result
from tests.support.trainer_process import trainer_command, trainer_environment

MODEL = "/account/models/model.tgz"
IMAGES = 12
TIMEOUT = 300

# Learns as `detection` does and writes each rank's weights to the folder PROBE. `fault` makes the last rank fail; `waitInStep` makes
# every rank wait before that step.
PROBE_PLUGIN = """
import os
import time
from pathlib import Path
import torch
from vott_trainer.errors import BadAnnotationsError
from vott_trainer.plugins.detection import Detection, DetectionParameters

class ProbeParameters(DetectionParameters):
    epochs: int = 2
    image_size: int = 64
    fault: str = ""
    wait_in_step: int = 0
    deliver: bool = False

class Probe(Detection):
    parameters = ProbeParameters

    def data(self, run, parameters):
        self.run, self.steps, self.folder = run, 0, Path(os.environ["PROBE"])
        self.fault = parameters.fault if run.ranks.rank == run.ranks.world_size - 1 else ""
        self.probe_parameters, self.names = parameters, []
        if self.fault == "data":
            raise BadAnnotationsError("This rank refuses its data.")
        return super().data(run, parameters)

    def model(self, data, parameters):
        torch.set_num_threads(1)
        torch.manual_seed(self.run.ranks.rank)
        self.network = super().model(data, parameters)
        weights = list(self.network.parameters())
        weights[len(weights) // 2].register_hook(self.hold)
        return self.network

    def batch(self, samples, rngs):
        self.names.append("\\n".join(sample.name for sample in samples))
        return super().batch(samples, rngs)

    def loss(self, model, batch):
        self.steps += 1
        (self.folder / f"names-{self.run.ranks.rank}-{self.steps}").write_text(self.names[self.steps - 1])
        self.wait()
        (self.folder / f"pid-{self.run.ranks.rank}").write_text(str(os.getpid()))
        (self.folder / f"steps-{self.run.ranks.rank}").write_text(str(self.steps))
        torch.save(dict(self.network.named_parameters()), self.folder / f"weights-{self.run.ranks.rank}")
        losses = super().loss(model, batch)
        if self.fault == "loss" and self.steps == 2:
            losses.terms["classification"] = losses.terms["classification"] * torch.nan
        self.too_large = self.fault == "memory" and self.steps > 1 and len(batch.images) > 1
        return losses

    def wait(self):
        if self.steps == self.probe_parameters.wait_in_step:
            (self.folder / f"waiting-{self.run.ranks.rank}").touch()
            while not (self.folder / "go").exists():
                time.sleep(0.02)

    def export(self, model, data, parameters, folder):
        (folder / "probe").write_text("x")
        return super().export(model, data, parameters, folder) if parameters.deliver else {}

    def hold(self, gradient):
        if self.too_large:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
"""


@dataclass(frozen=True)
class Pod:
    """A container that runs the entry point."""

    process: subprocess.Popen[bytes]
    folder: Path

    def wait(self) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(TIMEOUT)

    @property
    def log(self) -> str:
        """Its output."""
        return (self.folder / "log").read_text(encoding="utf-8")

    @property
    def message(self) -> dict[str, str]:
        """Its termination message."""
        message: dict[str, str] = json.loads((self.folder / "termination-log").read_text(encoding="utf-8"))
        return message


class Cluster:
    """Starts the pods of a training."""

    def __init__(self, server: HttpServer, folder: Path, *, nodes: int = 1, processes: int = 1) -> None:
        self.server, self.folder = server, folder
        self.nodes, self.processes = nodes, processes
        (self.port,) = free_ports(1)
        self.stack = ExitStack()
        self.attempt = 1
        server.answers[MODEL] = [Answer(201), Answer(403)]  # accepts the upload, but refuses reading
        self.annotations = serve_annotated(server, IMAGES)

    def pod(self, node: int, plugin: str, *, master: str = "127.0.0.1", **parameters: Any) -> Pod:
        """Start the pod of one node."""
        folder = self.folder / f"node-{node}-{self.attempt}"
        folder.mkdir()
        (folder / "termination-log").touch()
        variables = {
            "PET_NNODES": str(self.nodes),
            "PET_NPROC_PER_NODE": str(self.processes),
            "PET_NODE_RANK": str(node),
            "PET_MASTER_ADDR": master,
            "PET_MASTER_PORT": str(self.port),
            "VOTT_WORK_DIR": str(folder / "work"),
            "VOTT_TERMINATION_LOG": str(folder / "termination-log"),
            "VOTT_CHECKPOINTS": str(self.folder / "checkpoints"),
            "PROBE": str(self.folder),
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYTHONDONTWRITEBYTECODE": "",  # as in the image: use torch's byte code from the second start on
        }
        variables["PYTHONPATH"] = f"{trainer_environment()['PYTHONPATH']}:{self.folder}"
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                trainer_command(*self._arguments(plugin, parameters)),
                env=trainer_environment() | variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.stack.callback(stop, process)
        return Pod(process, folder)

    def pods(self, plugin: str, **parameters: Any) -> list[Pod]:
        """Start the pods of all nodes."""
        return [self.pod(node, plugin, **parameters) for node in range(self.nodes)]

    def pid(self, rank: int) -> int:
        """The process id of a rank, once it trains."""
        path = self.folder / f"pid-{rank}"
        wait_until(lambda: path.exists() and path.read_text(encoding="utf-8") != "")
        return int(path.read_text(encoding="utf-8"))

    def _arguments(self, plugin: str, parameters: dict[str, Any]) -> list[str]:
        urls = ["--annotations", self.annotations, "--model", f"{self.server.url}/account/models?sp=w&sig=SECRET"]
        reports = ["--status", f"{self.server.url}/status"]
        return ["--plugin", plugin, *urls, *reports, "--parameters", json.dumps(parameters)]


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(60)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, f"not within {TIMEOUT} s"
        time.sleep(0.1)


@pytest.fixture
def cluster(server: HttpServer, tmp_path: Path) -> Callable[..., Any]:
    """Makes a cluster, with the probe plugin installed where its pods find it."""
    (tmp_path / "probe.py").write_text(PROBE_PLUGIN, encoding="utf-8")
    package = tmp_path / "probe-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Name: probe\nVersion: 1\n", encoding="utf-8")
    (package / "entry_points.txt").write_text("[vott_trainer.plugins]\nprobe = probe:Probe\n", encoding="utf-8")

    @contextmanager
    def running(**layout: int) -> Iterator[Cluster]:
        cluster = Cluster(server, tmp_path, **layout)
        with cluster.stack:
            yield cluster

    return running


def uploaded(server: HttpServer) -> dict[str, bytes]:
    """The files of the only model that was uploaded."""
    (body,) = (
        request.body for request in server.requests if request.method == "PUT" and request.path.startswith(MODEL)
    )
    with tarfile.open(fileobj=BytesIO(body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def image_requests(server: HttpServer) -> int:
    return sum(request.path.startswith("/images/") for request in server.requests)


def same_weights(folder: Path) -> bool:
    one, two = (torch.load(folder / f"weights-{rank}", weights_only=True) for rank in (0, 1))
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_processes_of_one_node_train_one_model_and_fetch_each_image_once(
    cluster: Callable[..., Any], server: HttpServer, tmp_path: Path
) -> None:
    with cluster(processes=2) as node:
        (pod,) = node.pods("probe", batchSize=8)
        assert pod.wait() == 0, pod.log
    assert same_weights(tmp_path)
    assert [(tmp_path / f"steps-{rank}").read_text(encoding="utf-8") for rank in (0, 1)] == ["4", "4"]
    assert image_requests(server) == IMAGES
    assert {"probe", "metrics.json", "config.json"} <= set(uploaded(server))
    assert "not-this" not in uploaded(server)


def test_two_processes_learn_what_one_does_however_unevenly_the_objects_are_distributed(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(save_step_of_rank, (2, tmp_path), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    whole = step_result(crowded_images())
    ranks = [StepResult(*torch.load(tmp_path / f"step-{rank}", weights_only=True)) for rank in (0, 1)]
    assert all(rank.is_close(whole) for rank in ranks)
    assert torch.allclose(torch.stack([rank.losses for rank in ranks]).mean(dim=0), whole.losses, rtol=1e-4)


def test_two_nodes_train_a_detector_that_rank_0_uploads_and_reports(
    cluster: Callable[..., Any], server: HttpServer
) -> None:
    with cluster(nodes=2) as two:
        pods = two.pods("detection", epochs=2, imageSize=64, batchSize=3)
        assert [pod.wait() for pod in pods] == [0, 0], pods[0].log + pods[1].log
    assert image_requests(server) == 2 * IMAGES
    metrics = json.loads(uploaded(server)["metrics.json"])
    assert (metrics["processes"], metrics["settings"]["batchSize"]) == (2, 4)
    assert metrics["counts"]["trainingImages"] + metrics["counts"]["heldOutImages"] == IMAGES
    posts = server.bodies("/status")
    assert [post["state"] for post in posts].count("succeeded") == 1
    assert [post["progress"] for post in posts] == sorted(post["progress"] for post in posts)


def test_two_processes_cross_validate_in_step(cluster: Callable[..., Any], server: HttpServer) -> None:
    with cluster(processes=2) as node:
        (pod,) = node.pods("detection", architecture="fcos_tiny", epochs=2, imageSize=64, batchSize=4, folds=3)
        assert pod.wait() == 0, pod.log
    folds = json.loads(uploaded(server)["metrics.json"])["folds"]
    assert sum(fold["heldOutImages"] for fold in folds) == IMAGES
    assert len(folds) == 3
    posts = server.bodies("/status")
    assert [post["progress"] for post in posts] == sorted(post["progress"] for post in posts)


def test_plugin_without_distributed_training_runs_in_one_process(
    cluster: Callable[..., Any], server: HttpServer
) -> None:
    with cluster(nodes=2) as two:
        pods = two.pods("hello-world", stepSeconds=0)
        assert [pod.wait() for pod in pods] == [0, 0], pods[0].log + pods[1].log
    assert "hello.json" in uploaded(server)
    assert [request.path for request in server.requests].count("/annotations.csv") == 1


def test_error_of_one_process_is_the_containers_termination_message(cluster: Callable[..., Any]) -> None:
    with cluster(processes=2) as node:
        (pod,) = node.pods("probe", fault="data")
        assert pod.wait() == 65
        assert pod.message == {"reason": "BadAnnotations", "message": "This rank refuses its data."}


def test_non_finite_loss_names_the_images_of_its_rank(
    cluster: Callable[..., Any], server: HttpServer, tmp_path: Path
) -> None:
    with cluster(nodes=2) as two:
        pods = two.pods("probe", fault="loss", batchSize=4)
        assert [pod.wait() for pod in pods] == [65, 65], pods[0].log + pods[1].log
    names = ", ".join((tmp_path / "names-1-2").read_text(encoding="utf-8").splitlines())
    message = f"The loss became nan at epoch 1, step 2, images {names}. Check"
    assert all(pod.message["reason"] == "NonFiniteLoss" and message in pod.message["message"] for pod in pods)
    (last,) = [post for post in server.bodies("/status") if post["state"] != "running"]
    assert message in last["message"]


def test_out_of_memory_on_one_rank_ends_all_and_names_the_parameters_to_change(
    cluster: Callable[..., Any],
) -> None:
    with cluster(processes=2) as node:
        (pod,) = node.pods("probe", fault="memory", batchSize=4)
        assert pod.wait() == 64, pod.log
    message = "ran out of memory, with up to 2 images in it at once. Lower batchSize or imageSize, or raise gradientAccumulationSteps above 1,"
    assert pod.message["reason"] == "InvalidParameters"
    assert message in pod.message["message"]


def test_killed_process_is_a_lost_peer_for_other_pods_and_a_signal_in_its_own(
    cluster: Callable[..., Any], server: HttpServer
) -> None:
    with cluster(nodes=2) as two:
        first, second = two.pods("probe", epochs=10_000)
        os.kill(two.pid(1), signal.SIGKILL)
        assert (first.wait(), second.wait()) == (75, 137), first.log + second.log
        assert first.message["reason"] == "PeerLost"
        assert "The cause is in another pod of this Job" in first.message["message"]
        assert "was ended by SIGKILL" in second.message["message"]
        (last,) = [post for post in server.bodies("/status") if post["state"] != "running"]
        assert last["message"] == first.message["message"]


def test_sigterm_stops_every_process_of_the_pod(cluster: Callable[..., Any]) -> None:
    with cluster(processes=2) as node:
        (pod,) = node.pods("probe", epochs=10_000)
        pids = [node.pid(rank) for rank in (0, 1)]
        pod.process.send_signal(signal.SIGTERM)
        assert pod.wait() == 143, pod.log
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.parametrize("layout", [{"processes": 2}, {"nodes": 2}])
def test_sigterm_of_one_pod_stops_all_at_the_same_step_and_they_resume_together(
    layout: dict[str, int], cluster: Callable[..., Any], server: HttpServer, tmp_path: Path
) -> None:
    parameters = {"epochs": 6, "batchSize": 4, "waitInStep": 8, "deliver": True}
    with cluster(**layout) as first:
        pods = first.pods("probe", **parameters)
        wait_until(lambda: all((tmp_path / f"waiting-{rank}").exists() for rank in (0, 1)))
        pods[-1].process.send_signal(signal.SIGTERM)
        wait_until(lambda: "SIGTERM: stopping as soon as nothing is lost" in pods[-1].log)
        (tmp_path / "go").touch()
        assert [pod.wait() for pod in pods] == [143] * len(pods), pods[0].log + pods[-1].log
        assert "checkpoint at epoch" in pods[0].log
        first.attempt = 2
        pods = first.pods("probe", **parameters)
        assert [pod.wait() for pod in pods] == [0] * len(pods), pods[0].log + pods[-1].log
    assert "resumed from epoch" in pods[0].log
    resumed = uploaded(server)["model.safetensors"]
    server.requests.clear()
    with cluster(**layout) as whole:
        whole.attempt = 3
        pods = whole.pods("probe", **parameters)
        assert [pod.wait() for pod in pods] == [0] * len(pods), pods[0].log + pods[-1].log
    uninterrupted = load(uploaded(server)["model.safetensors"])
    assert all(torch.allclose(one, uninterrupted[name], atol=1e-4) for name, one in load(resumed).items())


@pytest.mark.parametrize(
    ("node", "master", "log_line"),
    [
        (0, "127.0.0.1", "waiting for the pods of the other nodes (2 in all)"),
        (1, "no-such-host.invalid", "waiting for node 0: no-such-host.invalid:"),
    ],
)
def test_pod_that_waits_for_other_pods_logs_it_and_ends_on_sigterm(
    node: int, master: str, log_line: str, cluster: Callable[..., Any]
) -> None:
    with cluster(nodes=2) as two:
        pod = two.pod(node, "hello-world", master=master)
        wait_until(lambda: log_line in pod.log)
        pod.process.send_signal(signal.SIGTERM)
        assert pod.wait() == 143, pod.log
