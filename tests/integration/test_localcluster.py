"""The control plane and Azurite that other tests use."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.queue import QueueServiceClient

from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from localcluster.errors import LocalClusterError
from localcluster.kubectl import kubectl, kubectl_json

_WAIT = "--timeout=120s"


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane(controllers=True, scheduler=True, simulated_nodes=2, gpus_per_node=4) as running:
        yield running


def _job(
    name: str, annotations: dict[str, str] | None = None, gpus: int = 1, completions: int = 1
) -> dict[str, object]:
    container = {"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": gpus}}}
    pod = {
        "metadata": {"annotations": annotations or {}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    spec = {"backoffLimit": 0, "completions": completions, "parallelism": completions, "template": pod}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def _phase(control_plane: ControlPlane, name: str) -> str:
    return kubectl(
        control_plane.kubeconfig, "get", "pods", "-l", f"job-name={name}", "-o", "jsonpath={.items[*].status.phase}"
    )


def test_simulated_nodes_run_the_gpu_pods_of_a_job(control_plane: ControlPlane) -> None:
    kubectl_json(control_plane.kubeconfig, "create", _job("done", completions=8))
    kubectl(control_plane.kubeconfig, "wait", "--for=condition=Complete", "job/done", _WAIT)
    nodes = kubectl(
        control_plane.kubeconfig, "get", "pods", "-l", "job-name=done", "-o", "jsonpath={.items[*].spec.nodeName}"
    )
    assert set(nodes.split()) == {"simulated-0", "simulated-1"}


def test_a_simulated_pod_fails_as_annotated(control_plane: ControlPlane) -> None:
    prefix = "localcluster.vott.dev"
    message = '{"reason": "BadAnnotations"}'
    annotations = {f"{prefix}/exit-code": "65", f"{prefix}/termination-message": message}
    kubectl_json(control_plane.kubeconfig, "create", _job("failed", annotations))
    kubectl(control_plane.kubeconfig, "wait", "--for=condition=Failed", "job/failed", _WAIT)
    query = "jsonpath={.items[0].status.containerStatuses[0].state.terminated}"
    state = json.loads(kubectl(control_plane.kubeconfig, "get", "pods", "-l", "job-name=failed", "-o", query))
    assert (state["exitCode"], state["message"]) == (65, message)


def test_a_simulated_pod_runs_as_long_as_annotated(control_plane: ControlPlane) -> None:
    kubectl_json(control_plane.kubeconfig, "create", _job("long", {"localcluster.vott.dev/run-for": "1h"}))
    kubectl(control_plane.kubeconfig, "wait", "--for=jsonpath={.status.ready}=1", "job/long", _WAIT)
    assert _phase(control_plane, "long") == "Running"


def test_a_job_that_requests_more_gpus_than_a_node_has_stays_pending(control_plane: ControlPlane) -> None:
    kubectl_json(control_plane.kubeconfig, "create", _job("big", gpus=5))
    kubectl(control_plane.kubeconfig, "wait", "--for=create", "pod", "-l", "job-name=big", _WAIT)
    unscheduled = "--for=condition=PodScheduled=false"
    kubectl(control_plane.kubeconfig, "wait", unscheduled, "pod", "-l", "job-name=big", _WAIT)
    assert _phase(control_plane, "big") == "Pending"


def test_data_survives_a_crash_of_etcd_and_of_the_api_server(control_plane: ControlPlane) -> None:
    kubectl(control_plane.kubeconfig, "create", "configmap", "kept")
    for program in ("etcd", "kube-apiserver"):
        control_plane.kill(program)
        control_plane.restart(program)
        assert "kept" in kubectl(control_plane.kubeconfig, "get", "configmaps")


def test_kubernetes_has_the_selected_version(control_plane: ControlPlane) -> None:
    versions = json.loads(kubectl(control_plane.kubeconfig, "version", "-o", "json"))
    server = versions["serverVersion"]
    assert f"{server['major']}.{server['minor']}" == (os.environ.get("VOTT_KUBERNETES") or "1.36")
    assert server["gitVersion"].startswith(f"v{server['major']}.{server['minor']}.")


def test_another_user_may_do_only_what_rbac_allows(control_plane: ControlPlane) -> None:
    kubeconfig = control_plane.user_kubeconfig("system:serviceaccount:default:other")
    with pytest.raises(LocalClusterError, match="is forbidden"):
        kubectl(kubeconfig, "get", "secrets")


def test_the_api_servers_certificate_is_verified(control_plane: ControlPlane) -> None:
    config = json.loads(control_plane.kubeconfig.read_text())
    with ControlPlane() as other:
        config["clusters"][0]["cluster"]["server"] = other.server
        mixed = other.kubeconfig.parent / "mixed.kubeconfig"
        mixed.write_text(json.dumps(config))
        with pytest.raises(LocalClusterError, match="certificate signed by unknown authority"):
            kubectl(mixed, "get", "namespaces")


def test_an_unknown_program_is_refused_with_the_known_ones(control_plane: ControlPlane) -> None:
    with pytest.raises(LocalClusterError, match="no program 'kubelet' was started; there are: etcd, kube-apiserver"):
        control_plane.kill("kubelet")


def test_programs_end_with_a_killed_test_process(tmp_path: Path) -> None:
    script = (
        "import sys, time; from localcluster.control_plane import ControlPlane\n"
        "control_plane = ControlPlane(); print(control_plane.server, flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("https://")
        assert _programs_in(tmp_path) == {"etcd", "kube-apiserver"}
        process.send_signal(signal.SIGKILL)
    _wait_until_ended(tmp_path)


def _programs_in(folder: Path) -> set[str]:
    """Names of running programs with the folder in their arguments."""
    names = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(str(folder).encode() in argument for argument in command[1:]):
            names.add(Path(command[0].decode()).name)
    return names


def _wait_until_ended(folder: Path) -> None:
    deadline = time.monotonic() + 30  # the kernel sends the signal asynchronously
    while running := _programs_in(folder):
        if time.monotonic() > deadline:
            pytest.fail(f"still running 30 s after their parent was killed: {running}")
        time.sleep(0.05)


def test_azurite_keeps_acknowledged_messages_over_a_restart() -> None:
    with Azurite() as azurite:
        with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
            queue = service.create_queue("training")
            queue.send_message("kept")
            azurite.restart()
            message = queue.receive_message()
            queue.close()
        assert message is not None
        assert message.content == "kept"


def test_two_azurites_are_independent() -> None:
    with Azurite() as one, Azurite() as other:
        with QueueServiceClient.from_connection_string(one.connection_string) as service:
            service.create_queue("training").close()
        with QueueServiceClient.from_connection_string(other.connection_string) as service:
            assert list(service.list_queues()) == []
