"""Hostile messages, and programs in trainer pods that look for access they should not have."""

import json
from pathlib import Path
from typing import Any

from demo.kubectl import Kubectl, Manifest
from localcluster import settings
from localcluster.control_plane_programs import KUBERNETES_SERVICE
from localcluster.kubectl import wait_for_service_account
from tests.e2e.training import HELLO, PYTHON, Training, create_training
from tests.support.cluster_harness import TRAINING_SECONDS, ClusterHarness, Submission

PROGRAMS = Path(__file__).parent / "pod_programs"
METADATA = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net&marker=SECRET"
SEARCHING_PLUGIN = "find-credentials"
NEIGHBOUR = "neighbour"

# ------------------------------------------------------------------------------------------------------------- messages


def annotations_from_the_metadata_service(harness: ClusterHarness) -> Submission:
    """The metadata service's token endpoint as annotations."""
    return harness.send(plugin=HELLO, annotations=METADATA)


def metadata_service_as_a_number(harness: ClusterHarness) -> Submission:
    """The metadata service's address as one decimal number."""
    return harness.send(plugin=HELLO, annotations="http://2852039166/latest/meta-data/")


def annotations_from_a_service(harness: ClusterHarness) -> Submission:
    """The API server's Service address as annotations."""
    return harness.send(plugin=HELLO, annotations=f"https://{KUBERNETES_SERVICE}/api/v1/secrets")


def annotations_from_a_services_name(harness: ClusterHarness) -> Submission:
    """The API server's Service name, which only a pod can resolve, as annotations."""
    return harness.send(plugin=HELLO, annotations="https://kubernetes.default.svc.cluster.local/api/v1/secrets")


def annotations_from_a_private_address(harness: ClusterHarness) -> Submission:
    """A private address as annotations."""
    return harness.send(plugin=HELLO, annotations="https://192.168.1.1/annotations.csv")


def model_to_the_metadata_service(harness: ClusterHarness) -> Submission:
    """The metadata service as the model's destination."""
    return harness.send(plugin=HELLO, model="http://169.254.169.254/models/m.tgz?sig=SECRET")


def weights_from_a_private_address(harness: ClusterHarness) -> Submission:
    """Initial weights at a private address."""
    return harness.send(parameters={"epochs": 1, "initialWeights": "https://10.0.0.5/model.tgz"})


def images_from_the_metadata_service(harness: ClusterHarness) -> Submission:
    """Valid annotations of an image at the metadata service."""
    return harness.send(
        annotations=harness.upload("annotations.csv", "http://169.254.169.254/a.jpg,10,10,20,20,circle\n")
    )


def callback_to_the_metadata_service(harness: ClusterHarness) -> Submission:
    """A valid training with its callback at the metadata service."""
    return harness.send(plugin=HELLO, status=METADATA)


def callback_to_a_services_name(harness: ClusterHarness) -> Submission:
    """A callback at the API server's Service name."""
    return harness.send(plugin=HELLO, status="https://kubernetes.default.svc.cluster.local/callback?marker=SECRET")


# ------------------------------------------------------------------------------------------------------------- programs


def credential_searching_script(harness: ClusterHarness) -> Training:
    """A script plugin that looks for credentials."""
    data = {f"{SEARCHING_PLUGIN}.py": (PROGRAMS / "find_credentials.py").read_text()}
    plugins = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "our-plugins"}, "data": data}
    # server-side, because other tests add plugins to the same ConfigMap
    harness.kubectl("apply", "--server-side", "--field-manager=searching", "--filename=-", stdin=json.dumps(plugins))
    return create_training(
        harness,
        "finds-credentials",
        plugin=SEARCHING_PLUGIN,
        model_url=harness.storage.blob_url(harness.container(), "m.json", "rcw"),
    )


def pod_token_user(harness: ClusterHarness) -> Training:
    """A program that tries its pod's token on other resources."""
    create_training(harness, "not-mine", suspend=True)
    return _probe(harness, "uses-its-token", "use_pod_token", {"OWN": "uses-its-token", "OTHER": "not-mine"})


def network_probe(harness: ClusterHarness) -> Training:
    """A program in a trainer pod that tries to connect to several targets."""
    targets = network_targets(harness)
    return _probe(harness, "tries-the-network", "probe_network", {"TARGETS": json.dumps(targets), "BLOCKED": "kubelet"})


def network_targets(harness: ClusterHarness) -> dict[str, tuple[str, int]]:
    """Host and port of each target, by name."""
    operator = harness.operator_pods()[0]["status"]["podIP"]
    return {
        "kubelet": (harness.host, settings.KUBELET_PORT),
        "metadata service": ("169.254.169.254", 80),
        "operator": (operator, 8080),
        "pod of another namespace": (neighbour(harness), 8000),
        "API server": ("kubernetes.default.svc", 443),
        "storage": (harness.host, settings.BLOB_PORT),
    }


def neighbour(harness: ClusterHarness) -> str:
    """Address of a server pod in another namespace without NetworkPolicies; created if missing."""
    kubectl = neighbour_kubectl(harness)
    labels = harness.kubectl.get("namespace", harness.name)["metadata"]["labels"]
    labels = {name: value for name, value in labels.items() if name != "kubernetes.io/metadata.name"}
    harness.apply_cluster_scoped(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace, "labels": labels}}
    )
    wait_for_service_account(Path(kubectl.kubeconfig), kubectl.namespace)
    kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NEIGHBOUR}, "spec": _server_pod(harness)})

    def address() -> str | None:
        status = kubectl.get("pod", NEIGHBOUR)["status"]
        return status.get("podIP") if status["phase"] == "Running" else None

    return harness.wait("the neighbour's address", address)


def neighbour_kubectl(harness: ClusterHarness) -> Kubectl:
    """kubectl for the neighbour's namespace."""
    return Kubectl(harness.kubectl.kubeconfig, f"{harness.name}-neighbour")


def _server_pod(harness: ClusterHarness) -> Manifest:
    """Spec of a server pod with the operator's security context."""
    pod = harness.operator_pods()[0]["spec"]
    operator = pod["containers"][0]
    container = {name: operator[name] for name in ("image", "imagePullPolicy", "securityContext")}
    command = [PYTHON, "-m", "http.server", "8000"]
    return {
        "securityContext": pod["securityContext"],
        "containers": [container | {"name": "server", "command": command}],
        "terminationGracePeriodSeconds": 0,
    }


def _probe(harness: ClusterHarness, name: str, program: str, variables: dict[str, str]) -> Training:
    env = [{"name": key, "value": value} for key, value in variables.items()]
    return create_training(
        harness, name, program=(PROGRAMS / f"{program}.py").read_text(), container={"env": env}, backoffLimit=0
    )


def wait_output(training: Training) -> Any:
    """Wait until the program's pod ends; return the JSON that it printed."""

    def ended() -> bool:
        return any(pod["status"].get("phase") in ("Succeeded", "Failed") for pod in training.pods())

    training.harness.wait(f"the end of the pod of {training.name}", ended, TRAINING_SECONDS)
    return json.loads(training.harness.kubectl.logs(training.name).splitlines()[-1])
