"""Messages of somebody who wants to get at what is not his, and programs inside that try to."""

import json
from pathlib import Path
from typing import Any

from demo.kubectl import Kubectl, Manifest
from localcluster import settings
from localcluster.control_plane_programs import KUBERNETES_SERVICE
from localcluster.kubectl import wait_for_service_account
from tests.e2e.training import HELLO, PYTHON, Training, create_training
from tests.support.cluster_harness import ClusterHarness, Submission

PROGRAMS = Path(__file__).parent / "pod_programs"
METADATA = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net&marker=SECRET"
LOOKING_PLUGIN = "look-around"
NEIGHBOUR = "neighbour"

# ------------------------------------------------------------------------------------------------------------- messages


def annotations_from_the_metadata_service(harness: ClusterHarness) -> Submission:
    """The identity of the node as annotations."""
    return harness.send(plugin=HELLO, annotations=METADATA)


def metadata_service_as_a_number(harness: ClusterHarness) -> Submission:
    """The same address as one decimal number."""
    return harness.send(plugin=HELLO, annotations="http://2852039166/latest/meta-data/")


def annotations_from_a_service(harness: ClusterHarness) -> Submission:
    """The API server by the address of its Service."""
    return harness.send(plugin=HELLO, annotations=f"https://{KUBERNETES_SERVICE}/api/v1/secrets")


def annotations_from_a_services_name(harness: ClusterHarness) -> Submission:
    """The same by its name, which only the pod can look up."""
    return harness.send(plugin=HELLO, annotations="https://kubernetes.default.svc.cluster.local/api/v1/secrets")


def annotations_from_a_private_address(harness: ClusterHarness) -> Submission:
    """Somebody's router."""
    return harness.send(plugin=HELLO, annotations="https://192.168.1.1/annotations.csv")


def model_to_the_metadata_service(harness: ClusterHarness) -> Submission:
    """A model that is sent where it should not."""
    return harness.send(plugin=HELLO, model="http://169.254.169.254/models/m.tgz?sig=SECRET")


def weights_from_a_private_address(harness: ClusterHarness) -> Submission:
    """Initial weights inside of the network."""
    return harness.send(parameters={"epochs": 1, "initialWeights": "https://10.0.0.5/model.tgz"})


def images_from_the_metadata_service(harness: ClusterHarness) -> Submission:
    """Annotations that are well, of images that are not."""
    return harness.send(
        annotations=harness.upload("annotations.csv", "http://169.254.169.254/a.jpg,10,10,20,20,circle\n")
    )


def callback_to_the_metadata_service(harness: ClusterHarness) -> Submission:
    """A good training whose callback may not be sent."""
    return harness.send(plugin=HELLO, status=METADATA)


def callback_to_a_services_name(harness: ClusterHarness) -> Submission:
    """The same, by a name that only shows its address when it is looked up."""
    return harness.send(plugin=HELLO, status="https://kubernetes.default.svc.cluster.local/callback?marker=SECRET")


# ------------------------------------------------------------------------------------------------------------- programs


def credential_searching_script(harness: ClusterHarness) -> Training:
    """A script plugin that looks for credentials."""
    text = (PROGRAMS / "find_credentials.py").read_text()
    data = {f"{LOOKING_PLUGIN}.py": text}
    plugins = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "our-plugins"}, "data": data}
    # others put theirs into it, too
    harness.kubectl("apply", "--server-side", "--field-manager=looking", "--filename=-", stdin=json.dumps(plugins))
    return create_training(
        harness,
        "looks-around",
        plugin=LOOKING_PLUGIN,
        model_url=harness.storage.blob_url(harness.container(), "m.json", "rcw"),
    )


def pod_token_user(harness: ClusterHarness) -> Training:
    """A program that uses its pod's token for what it can."""
    create_training(harness, "not-mine", suspend=True)
    return _probe(harness, "uses-its-token", "use_pod_token", {"OWN": "uses-its-token", "OTHER": "not-mine"})


def network_probe(harness: ClusterHarness) -> Training:
    """A program in a trainer pod that tries to reach all kinds of targets."""
    targets = network_targets(harness)
    return _probe(harness, "tries-the-network", "probe_network", {"TARGETS": json.dumps(targets), "BLOCKED": "kubelet"})


def network_targets(harness: ClusterHarness) -> dict[str, tuple[str, int]]:
    """Name to host and port."""
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
    """Address of a pod in another namespace that serves everybody, and that no policy holds; made where it is not there yet."""
    kubectl = neighbour_kubectl(harness)
    labels = harness.kubectl.get("namespace", harness.name)["metadata"]["labels"]
    labels = {name: value for name, value in labels.items() if name != "kubernetes.io/metadata.name"}
    harness.apply_to_cluster(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace, "labels": labels}}
    )
    wait_for_service_account(Path(kubectl.kubeconfig), kubectl.namespace)
    kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NEIGHBOUR}, "spec": _serving(harness)})

    def address() -> str | None:
        status = kubectl.get("pod", NEIGHBOUR)["status"]
        return status.get("podIP") if status["phase"] == "Running" else None

    return harness.wait("the neighbour's address", address)


def neighbour_kubectl(harness: ClusterHarness) -> Kubectl:
    """kubectl for the neighbour's namespace."""
    return Kubectl(harness.kubectl.kubeconfig, f"{harness.name}-neighbour")


def _serving(harness: ClusterHarness) -> Manifest:
    """A pod as unprivileged as the operator's."""
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
    """What the program found, once it ended."""

    def ended() -> bool:
        return any(pod["status"].get("phase") in ("Succeeded", "Failed") for pod in training.pods())

    training.harness.wait(f"the end of the pod of {training.name}", ended, 480)
    return json.loads(training.harness.kubectl.logs(training.name).splitlines()[-1])
