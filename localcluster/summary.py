"""The summary that ``up`` prints."""

from localcluster import settings
from localcluster.paths import CHECKOUT
from localcluster.up import Up


def summary(up: Up, *, with_operator: bool) -> str:
    """What runs, and which commands to try next."""
    file = up.environment_file.relative_to(CHECKOUT)
    operator = f"the operator in namespace {settings.NAMESPACE}, " if with_operator else ""
    return "\n".join(
        [
            "",
            f"Running: Kubernetes with one node (simulated {settings.GPU_RESOURCE}), {operator}and Azurite with the queue {settings.QUEUE!r}.",
            "",
            f"  source {file}                       sets KUBECONFIG, AZURE_STORAGE_CONNECTION_STRING and more",
            "  kubectl get nodes,trainingjobs -A        inspect the cluster",
            "  make demo                                train a first model",
            "  make status                              check the components",
            "  make down                                remove the cluster but not the caches",
        ]
    )
