"""What ``up`` says at its end."""

from localcluster import settings
from localcluster.paths import CHECKOUT
from localcluster.up import Up


def summary(up: Up, *, with_operator: bool) -> str:
    """What runs, and what to try next."""
    file = up.environment_file.relative_to(CHECKOUT)
    operator = f"the operator in namespace {settings.NAMESPACE}, " if with_operator else ""
    return "\n".join(
        [
            "",
            f"It runs: Kubernetes with one node ({settings.GPU_RESOURCE}, simulated), {operator}and Azurite with the queue {settings.QUEUE!r}.",
            "",
            f"  source {file}                       sets KUBECONFIG, AZURE_STORAGE_CONNECTION_STRING and more",
            "  kubectl get nodes,trainingjobs -A        look at it",
            "  make demo                                train a first model",
            "  make status                              is everything well?",
            "  make down                                remove it all (caches stay)",
        ]
    )
