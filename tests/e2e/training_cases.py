"""Every TrainingJob that the tests make by hand, so that all can be made at once and live side by side."""

from collections.abc import Callable
from typing import TypeAlias

from localcluster.images import BAKED_WEIGHTS
from tests.e2e.training import SMALL, WORKING, HeldTraining, Training, create_held_training, create_training
from tests.support.cluster_harness import ClusterHarness

Life: TypeAlias = Callable[[ClusterHarness], Training]

NO_SUCH_IMAGE = "localhost/vott-train/no-such-image:1"
RATIONED_GPU = "nvidia.com/mig-3g.40gb"
QUOTA = "no-such-slices"
PRIORITY = "vott-e2e-patient"
BAD_LINE = "a.csv line 7: expected 6 fields, found 4. Correct the line."

# ------------------------------------------------------------------------------------------ those that never get to train


def bad_image(harness: ClusterHarness) -> Training:
    """An image that is nowhere."""
    return create_training(harness, "bad-image", trainer={"image": NO_SUCH_IMAGE})


def too_many_gpus(harness: ClusterHarness) -> Training:
    """More GPUs than any node has."""
    return create_training(harness, "too-many-gpus", trainer={"gpus": 64})


def over_quota(harness: ClusterHarness) -> Training:
    """A GPU of a kind that the namespace may have none of."""
    hard = {f"requests.{RATIONED_GPU}": "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": QUOTA}, "spec": {"hard": hard}}
    harness.kubectl.apply(quota)
    harness.wait("the quota in force", lambda: harness.kubectl.get("quota", QUOTA).get("status", {}).get("hard"))
    return create_training(harness, "over-quota", trainer={"gpus": 1, "gpuResourceName": RATIONED_GPU})


def never_a_node(harness: ClusterHarness) -> Training:
    """More GPUs than any node has, and a deadline for getting them."""
    return create_training(harness, "never-a-node", trainer={"gpus": 64}, pendingDeadlineSeconds=5)


def other_service_account(harness: ClusterHarness) -> Training:
    """A pod template that wants a service account of its own."""
    return create_training(harness, "other-service-account", template={"serviceAccountName": "default"})


def typing_error(harness: ClusterHarness) -> Training:
    """A pod template with a field that Kubernetes does not have."""
    return create_training(harness, "typing-error", template={"priorityClasName": "high"})


# ------------------------------------------------------------------------------------------------------- those that fail


def out_of_memory(harness: ClusterHarness) -> Training:
    """A gigabyte in a container of an eighth of that."""
    resources = {"requests": SMALL["requests"], "limits": {"memory": "128Mi"}}
    return create_training(
        harness, "out-of-memory", program="b'x' * 2**30", trainer={"resources": resources}, backoffLimit=0
    )


def bad_data(harness: ClusterHarness) -> Training:
    """The trainer says that its data is bad."""
    program = f"""
import json, pathlib, sys
told = {{"reason": "BadAnnotations", "message": {BAD_LINE!r}}}
pathlib.Path("/dev/termination-log").write_text(json.dumps(told))
sys.exit(65)"""
    return create_training(harness, "bad-data", program=program)


def always_fails(harness: ClusterHarness) -> Training:
    """A program error, time after time."""
    return create_training(harness, "always-fails", program="raise SystemExit(1)", backoffLimit=1)


def too_slow(harness: ClusterHarness) -> Training:
    """A training that takes longer than it may."""
    return create_held_training(harness, "too-slow", activeDeadlineSeconds=5)


def no_model(harness: ClusterHarness) -> Training:
    """A program that ends well without a model."""
    return create_training(harness, "no-model", program="pass")


# ------------------------------------------------------------------------------------------------ those that are disturbed


def silent(harness: ClusterHarness) -> HeldTraining:
    """Reports nothing until it is told to go on, then for some seconds."""
    return create_held_training(harness, "silent", parameters={"epochs": 20})


def evicted(harness: ClusterHarness) -> HeldTraining:
    """May fail never, so that an eviction that counted would end it."""
    return create_held_training(harness, "evicted", backoffLimit=0)


def drained(harness: ClusterHarness) -> HeldTraining:
    """The same, for a node that is drained."""
    return create_held_training(harness, "drained", backoffLimit=0)


def jobless(harness: ClusterHarness) -> HeldTraining:
    """Loses its Job."""
    return create_held_training(harness, "jobless", backoffLimit=0)


def paused(harness: ClusterHarness) -> HeldTraining:
    """Is suspended, and resumed."""
    return create_held_training(harness, "paused")


def short_lived(harness: ClusterHarness) -> Training:
    """Just trains."""
    return create_training(harness, "short-lived")


def through_an_upgrade(harness: ClusterHarness) -> HeldTraining:
    """Runs while the operator is replaced."""
    return create_held_training(harness, "through-an-upgrade")


# --------------------------------------------------------------------------------------------- with weights to begin with


def with_the_images_weights(harness: ClusterHarness) -> Training:
    """Classifies boxes, and begins with what its image brings."""
    parameters = {"architecture": BAKED_WEIGHTS, "initialWeights": "baked", "epochs": 1, "imageSize": 64}
    resources = {"resources": WORKING}
    return create_training(harness, "with-weights", plugin="classification", parameters=parameters, trainer=resources)


# --------------------------------------------------------------------------------------------------- with a pod template


def with_a_template(harness: ClusterHarness) -> HeldTraining:
    """Environment, a volume with its mount, a priority, a toleration and a label, all checked in the pod."""
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": PRIORITY}}
    harness.apply_to_cluster(priority | {"value": -10, "description": "For tests."})
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
    return create_held_training(harness, "with-a-template", "check", container=container, template=template)


# ------------------------------------------------------------------------------------------------------------- two nodes


def one_of_two_fails(harness: ClusterHarness) -> HeldTraining:
    """Two pods, of which the second fails once; the first trains alone then."""
    return create_held_training(harness, "one-of-two-fails", "fail-once", trainer={"nodes": 2})
