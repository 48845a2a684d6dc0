"""One training by several processes, through the image's entry point: on one node, and on two that meet at 127.0.0.1."""

import json
import os
import signal
import socket
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

from tests.support.annotated_images import serve_annotated
from tests.support.http_server import Answer, HttpServer
from tests.support.trainer_process import trainer_command, trainer_environment

MODEL = "/account/models/model.tgz"
IMAGES = 12
TIMEOUT = 300

# Learns as `detection` does, leaves each rank's weights in PROBE, and fails in the last rank as it is told. It can wait before a step.
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
        self.run, self.steps, self.place = run, 0, Path(os.environ["PROBE"])
        self.fault = parameters.fault if run.ranks.rank == run.ranks.world_size - 1 else ""
        self.asked, self.names = parameters, []
        if self.fault == "data":
            raise BadAnnotationsError("This rank does not like its data.")
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
        (self.place / f"names-{self.run.ranks.rank}-{self.steps}").write_text(self.names[self.steps - 1])
        self.wait()
        (self.place / f"pid-{self.run.ranks.rank}").write_text(str(os.getpid()))
        (self.place / f"steps-{self.run.ranks.rank}").write_text(str(self.steps))
        torch.save(dict(self.network.named_parameters()), self.place / f"weights-{self.run.ranks.rank}")
        losses = super().loss(model, batch)
        if self.fault == "loss" and self.steps == 2:
            losses["classification"] = losses["classification"] * torch.nan
        self.too_large = self.fault == "memory" and self.steps > 1 and len(batch.images) > 1
        return losses

    def wait(self):
        if self.steps == self.asked.wait_in_step:
            (self.place / f"waiting-{self.run.ranks.rank}").touch()
            while not (self.place / "go").exists():
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
    """One container that runs the entry point."""

    process: subprocess.Popen[bytes]
    folder: Path

    def ended(self) -> int:
        """The exit code."""
        return self.process.wait(TIMEOUT)

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.folder / "log").read_text(encoding="utf-8")

    @property
    def message(self) -> dict[str, str]:
        """Its termination message."""
        told: dict[str, str] = json.loads((self.folder / "termination-log").read_text(encoding="utf-8"))
        return told


class Cluster:
    """Starts the pods of one training."""

    def __init__(self, server: HttpServer, folder: Path, *, nodes: int = 1, processes: int = 1) -> None:
        self.server, self.folder = server, folder
        self.nodes, self.processes = nodes, processes
        self.port = free_port()
        self.stack = ExitStack()
        self.attempt = 1
        server.answers[MODEL] = [Answer(201), Answer(403)]  # takes the upload, and may not be read
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
            "PYTHONDONTWRITEBYTECODE": "",  # as in the image, torch comes as byte code from the second time on
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
        """The process of one rank, once it trains."""
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


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@pytest.fixture
def cluster(server: HttpServer, tmp_path: Path) -> Callable[..., Any]:
    """Make the cluster of a test; a package with the probe is installed where its pods find it."""
    (tmp_path / "probe.py").write_text(PROBE_PLUGIN, encoding="utf-8")
    package = tmp_path / "probe-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Name: probe\nVersion: 1\n", encoding="utf-8")
    (package / "entry_points.txt").write_text("[vott_trainer.plugins]\nprobe = probe:Probe\n", encoding="utf-8")

    @contextmanager
    def made(**layout: int) -> Iterator[Cluster]:
        made = Cluster(server, tmp_path, **layout)
        with made.stack:
            yield made

    return made


def uploaded(server: HttpServer) -> dict[str, bytes]:
    """The files of the one model that was uploaded."""
    (body,) = (
        request.body for request in server.requests if request.method == "PUT" and request.path.startswith(MODEL)
    )
    with tarfile.open(fileobj=BytesIO(body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def fetched(server: HttpServer) -> int:
    return sum(request.path.startswith("/images/") for request in server.requests)


def same_weights(folder: Path) -> bool:
    one, two = (torch.load(folder / f"weights-{rank}", weights_only=True) for rank in (0, 1))
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_processes_of_one_node_learn_one_model_from_images_fetched_once(
    cluster: Callable[..., Any], server: HttpServer, tmp_path: Path
) -> None:
    with cluster(processes=2) as node:
        (pod,) = node.pods("probe")
        assert pod.ended() == 0, pod.log
    assert same_weights(tmp_path)
    assert [(tmp_path / f"steps-{rank}").read_text(encoding="utf-8") for rank in (0, 1)] == ["4", "4"]
    assert fetched(server) == IMAGES
    assert {"probe", "metrics.json", "config.json"} <= set(uploaded(server))
    assert "not-this" not in uploaded(server)


def test_processes_of_two_nodes_train_a_detector_that_rank_0_uploads_and_reports(
    cluster: Callable[..., Any], server: HttpServer
) -> None:
    with cluster(nodes=2) as two:
        pods = two.pods("detection", epochs=2, imageSize=64, batchSize=3)
        assert [pod.ended() for pod in pods] == [0, 0], pods[0].log + pods[1].log
    assert fetched(server) == 2 * IMAGES
    metrics = json.loads(uploaded(server)["metrics.json"])
    assert (metrics["processes"], metrics["settings"]["batchSize"]) == (2, 4)
    assert metrics["counts"]["trainingImages"] + metrics["counts"]["heldOutImages"] == IMAGES
    posts = server.bodies("/status")
    assert [post["state"] for post in posts].count("succeeded") == 1
    assert [post["progress"] for post in posts] == sorted(post["progress"] for post in posts)


def test_plugin_that_knows_nothing_of_ranks_runs_once(cluster: Callable[..., Any], server: HttpServer) -> None:
    with cluster(nodes=2) as two:
        pods = two.pods("hello-world", stepSeconds=0)
        assert [pod.ended() for pod in pods] == [0, 0], pods[0].log + pods[1].log
    assert "hello.json" in uploaded(server)
    assert [request.path for request in server.requests].count("/annotations.csv") == 1


def test_cause_of_one_process_is_the_end_of_the_container(cluster: Callable[..., Any]) -> None:
    with cluster(processes=2) as node:
        (pod,) = node.pods("probe", fault="data")
        assert pod.ended() == 65
        assert pod.message == {"reason": "BadAnnotations", "message": "This rank does not like its data."}


def test_a_loss_that_is_not_finite_is_blamed_on_the_images_of_its_own_rank(
    cluster: Callable[..., Any], server: HttpServer, tmp_path: Path
) -> None:
    with cluster(nodes=2) as two:
        pods = two.pods("probe", fault="loss", batchSize=4)
        assert [pod.ended() for pod in pods] == [65, 65], pods[0].log + pods[1].log
    names = ", ".join((tmp_path / "names-1-2").read_text(encoding="utf-8").splitlines())
    words = f"The loss became nan at epoch 1, step 2, images {names}. Check"
    assert all(pod.message["reason"] == "NonFiniteLoss" and words in pod.message["message"] for pod in pods)
    (last,) = [post for post in server.bodies("/status") if post["state"] != "running"]
    assert words in last["message"]


def test_memory_that_runs_out_on_one_rank_in_the_middle_ends_all_with_what_to_lower(
    cluster: Callable[..., Any],
) -> None:
    with cluster(processes=2) as node:
        (pod,) = node.pods("probe", fault="memory", batchSize=4)
        assert pod.ended() == 64, pod.log
    words = "ran out of memory, with up to 2 images in it at once. Lower batchSize or imageSize, or raise gradientAccumulationSteps above 1,"
    assert pod.message["reason"] == "InvalidParameters"
    assert words in pod.message["message"]


def test_loss_of_a_killed_peer_is_told_by_the_others_and_the_signal_by_its_own_pod(
    cluster: Callable[..., Any], server: HttpServer
) -> None:
    with cluster(nodes=2) as two:
        first, second = two.pods("probe", epochs=10_000)
        os.kill(two.pid(1), signal.SIGKILL)
        assert (first.ended(), second.ended()) == (75, 137), first.log + second.log
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
        assert pod.ended() == 143, pod.log
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.parametrize("layout", [{"processes": 2}, {"nodes": 2}])
def test_sigterm_of_one_pod_stops_all_before_the_same_step_and_they_go_on_together(
    layout: dict[str, int], cluster: Callable[..., Any], server: HttpServer, tmp_path: Path
) -> None:
    parameters = {"epochs": 6, "batchSize": 4, "waitInStep": 8, "deliver": True}
    with cluster(**layout) as first:
        pods = first.pods("probe", **parameters)
        wait_until(lambda: all((tmp_path / f"waiting-{rank}").exists() for rank in (0, 1)))
        pods[-1].process.send_signal(signal.SIGTERM)
        wait_until(lambda: "SIGTERM: stopping as soon as nothing is lost" in pods[-1].log)
        (tmp_path / "go").touch()
        assert [pod.ended() for pod in pods] == [143] * len(pods), pods[0].log + pods[-1].log
        assert "checkpoint at epoch" in pods[0].log
        first.attempt = 2
        pods = first.pods("probe", **parameters)
        assert [pod.ended() for pod in pods] == [0] * len(pods), pods[0].log + pods[-1].log
    assert "resumed from epoch" in pods[0].log
    resumed = uploaded(server)["model.safetensors"]
    server.requests.clear()
    with cluster(**layout) as whole:
        whole.attempt = 3
        pods = whole.pods("probe", **parameters)
        assert [pod.ended() for pod in pods] == [0] * len(pods), pods[0].log + pods[-1].log
    uninterrupted = load(uploaded(server)["model.safetensors"])
    assert all(torch.allclose(one, uninterrupted[name], atol=1e-4) for name, one in load(resumed).items())


@pytest.mark.parametrize(
    ("node", "master", "waits_for"),
    [
        (0, "127.0.0.1", "waiting for the pods of the other nodes (2 in all)"),
        (1, "no-such-host.invalid", "waiting for node 0: no-such-host.invalid:"),
    ],
)
def test_pod_that_waits_for_the_others_says_so_and_hears_sigterm(
    node: int, master: str, waits_for: str, cluster: Callable[..., Any]
) -> None:
    with cluster(nodes=2) as two:
        pod = two.pod(node, "hello-world", master=master)
        wait_until(lambda: waits_for in pod.log)
        pod.process.send_signal(signal.SIGTERM)
        assert pod.ended() == 143, pod.log
