"""TrainingJobs that the tests create without a message. Each case is a function, so that all can start at once."""

from demo.kubectl import Manifest
from localcluster.images import BAKED_WEIGHTS
from tests.e2e.training import PYTHON, SMALL, WORKING, HeldTraining, Training, create_held_training, create_training
from tests.support.cluster_harness import ClusterHarness

NO_SUCH_IMAGE = "localhost/vott-train/no-such-image:1"
NO_SUCH_CONFIGMAP = "not-there"
AUTHORITIES = {"volumes": [{"name": "authorities", "configMap": {"name": NO_SUCH_CONFIGMAP}}]}
MOUNTED_AUTHORITIES = {"volumeMounts": [{"name": "authorities", "mountPath": "/etc/authorities"}]}
RATIONED_GPU = "nvidia.com/mig-3g.40gb"
QUOTA = "no-such-slices"
PRIORITY = "vott-e2e-patient"
BAD_LINE = "a.csv line 7: expected 6 fields, found 4. Correct the line."

# ------------------------------------------------------------------------------------------------ those that never start


def bad_image(harness: ClusterHarness) -> Training:
    """An image that does not exist."""
    return create_training(harness, "bad-image", trainer={"image": NO_SUCH_IMAGE})


def too_many_gpus(harness: ClusterHarness) -> Training:
    """More GPUs than any node has."""
    return create_training(harness, "too-many-gpus", trainer={"gpus": 64})


def over_quota(harness: ClusterHarness) -> Training:
    """A GPU resource with a quota of 0."""
    hard = {f"requests.{RATIONED_GPU}": "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": QUOTA}, "spec": {"hard": hard}}
    harness.kubectl.apply(quota)
    harness.wait("the quota in force", lambda: harness.kubectl.get("quota", QUOTA).get("status", {}).get("hard"))
    return create_training(harness, "over-quota", trainer={"gpus": 1, "gpuResourceName": RATIONED_GPU})


def missing_configmap(harness: ClusterHarness) -> Training:
    """A pod template that mounts a ConfigMap which does not exist."""
    return create_training(harness, "missing-configmap", template=AUTHORITIES, container=MOUNTED_AUTHORITIES)


def bad_sidecar_image(harness: ClusterHarness) -> Training:
    """A sidecar whose image does not exist."""
    sidecar = _sidecar(harness) | {"image": NO_SUCH_IMAGE, "restartPolicy": "Always"}
    return create_training(harness, "bad-sidecar-image", template={"initContainers": [sidecar]})


def endless_init_container(harness: ClusterHarness) -> Training:
    """An init container that does not end."""
    return create_training(harness, "endless-init", template={"initContainers": [_sidecar(harness)]})


def gated(harness: ClusterHarness) -> Training:
    """A pod template with a scheduling gate."""
    return create_training(harness, "gated", template={"schedulingGates": [{"name": "example.com/reviewed"}]})


def no_disk(harness: ClusterHarness) -> Training:
    """Requests more disk than any node has."""
    resources = {"requests": SMALL["requests"] | {"ephemeral-storage": "1000Ti"}, "limits": SMALL["limits"]}
    return create_training(harness, "no-disk", trainer={"resources": resources})


def rejected(harness: ClusterHarness) -> Training:
    """A pod that its node rejects, again and again: bound without the scheduler, it asks for more GPUs than the node has."""
    (node, *_) = harness.kubectl.list("nodes")
    template = {"nodeName": node["metadata"]["name"]}
    return create_training(harness, "rejected", template=template, trainer={"gpus": 64}, backoffLimit=0)


def never_mounted(harness: ClusterHarness) -> Training:
    """A missing ConfigMap, with a pending deadline."""
    return create_training(
        harness, "never-mounted", template=AUTHORITIES, container=MOUNTED_AUTHORITIES, pendingDeadlineSeconds=60
    )


def never_a_node(harness: ClusterHarness) -> Training:
    """More GPUs than any node has, with a pending deadline."""
    return create_training(harness, "never-a-node", trainer={"gpus": 64}, pendingDeadlineSeconds=5)


def other_service_account(harness: ClusterHarness) -> Training:
    """A pod template with another ServiceAccount."""
    return create_training(harness, "other-service-account", template={"serviceAccountName": "default"})


def misspelt_field(harness: ClusterHarness) -> Training:
    """A pod template with a misspelt field."""
    return create_training(harness, "misspelt-field", template={"priorityClasName": "high"})


# ------------------------------------------------------------------------------------------------------- those that fail


def out_of_memory(harness: ClusterHarness) -> Training:
    """Allocates 1 GiB with a limit of 128 MiB."""
    resources = {"requests": SMALL["requests"], "limits": {"memory": "128Mi"}}
    return create_training(
        harness, "out-of-memory", program="b'x' * 2**30", trainer={"resources": resources}, backoffLimit=0
    )


def bad_data(harness: ClusterHarness) -> Training:
    """Fails permanently because of bad annotations."""
    program = f"""
import json, pathlib, sys
message = {{"reason": "BadAnnotations", "message": {BAD_LINE!r}}}
pathlib.Path("/dev/termination-log").write_text(json.dumps(message))
sys.exit(65)"""
    return create_training(harness, "bad-data", program=program)


def always_fails(harness: ClusterHarness) -> Training:
    """A program that always exits with 1."""
    return create_training(harness, "always-fails", program="raise SystemExit(1)", backoffLimit=1)


def too_slow(harness: ClusterHarness) -> Training:
    """A training that exceeds its deadline."""
    return create_held_training(harness, "too-slow", activeDeadlineSeconds=5)


def no_model(harness: ClusterHarness) -> Training:
    """A program that succeeds without reporting a model."""
    return create_training(harness, "no-model", program="pass")


def fails_beside_a_sidecar(harness: ClusterHarness) -> Training:
    """Fails permanently, beside a container that runs on."""
    return create_training(
        harness, "fails-beside-a-sidecar", program="raise SystemExit(65)", template=_with_sidecar(harness)
    )


def _with_sidecar(harness: ClusterHarness) -> Manifest:
    return {"containers": [_sidecar(harness)], "terminationGracePeriodSeconds": 1}


def _sidecar(harness: ClusterHarness) -> Manifest:
    """A container that sleeps for a day, as a mesh injects its proxy."""
    operator = harness.operator_pods()[0]["spec"]["containers"][0]
    container = {name: operator[name] for name in ("image", "imagePullPolicy", "securityContext")}
    return container | {"name": "proxy", "command": [PYTHON, "-c", "import time; time.sleep(86400)"]}


# ------------------------------------------------------------------------------------------------ those that are disturbed


def beside_a_sidecar(harness: ClusterHarness) -> Training:
    """Trains beside a container that runs on."""
    return create_training(harness, "beside-a-sidecar", template=_with_sidecar(harness))


def silent(harness: ClusterHarness) -> HeldTraining:
    """Reports no progress until it is released, then for some seconds."""
    return create_held_training(harness, "silent", parameters={"epochs": 20})


def evicted(harness: ClusterHarness) -> HeldTraining:
    """Is evicted; with backoffLimit 0, so an eviction that counts as a failure would end it."""
    return create_held_training(harness, "evicted", backoffLimit=0)


def drained(harness: ClusterHarness) -> HeldTraining:
    """Is on a node that is drained; with backoffLimit 0."""
    return create_held_training(harness, "drained", backoffLimit=0)


def with_deleted_job(harness: ClusterHarness) -> HeldTraining:
    """Its Job is deleted; with backoffLimit 0."""
    return create_held_training(harness, "with-deleted-job", backoffLimit=0)


def paused(harness: ClusterHarness) -> HeldTraining:
    """Is suspended and resumed."""
    return create_held_training(harness, "paused")


def short_lived(harness: ClusterHarness) -> Training:
    """Is deleted by its TTL."""
    return create_training(harness, "short-lived")


def through_an_upgrade(harness: ClusterHarness) -> HeldTraining:
    """Runs during an upgrade of the operator."""
    return create_held_training(harness, "through-an-upgrade")


# --------------------------------------------------------------------------------------------- with initial weights


def with_weights_in_image(harness: ClusterHarness) -> Training:
    """A classifier that starts with the weights in the trainer image."""
    parameters = {"architecture": BAKED_WEIGHTS, "initialWeights": "baked", "epochs": 1, "imageSize": 64}
    resources = {"resources": WORKING}
    return create_training(harness, "with-weights", plugin="classification", parameters=parameters, trainer=resources)


# --------------------------------------------------------------------------------------------------- with a pod template


def with_pod_template(harness: ClusterHarness) -> HeldTraining:
    """A pod template with a variable, a mounted ConfigMap, a priority class and a toleration; the pod checks the first two."""
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": PRIORITY}}
    harness.apply_cluster_scoped(priority | {"value": -10, "description": "For tests."})
    harness.kubectl.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "team"}, "data": {"name": "cats"}}
    )
    container = {
        "env": [{"name": "TEAM", "value": "cats"}],
        "volumeMounts": [{"name": "team", "mountPath": "/etc/team", "readOnly": True}],
    }
    template = {
        "priorityClassName": PRIORITY,
        "volumes": [{"name": "team", "configMap": {"name": "team"}}],
        "tolerations": [{"key": "team", "operator": "Equal", "value": "cats", "effect": "NoSchedule"}],
    }
    return create_held_training(harness, "with-pod-template", "check", container=container, template=template)


# ------------------------------------------------------------------------------------------------------------- two nodes


def one_of_two_fails(harness: ClusterHarness) -> HeldTraining:
    """Two pods; the second fails once, then the first trains alone."""
    return create_held_training(harness, "one-of-two-fails", "fail-once", trainer={"nodes": 2})
