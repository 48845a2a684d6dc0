"""Tolerations of the trainer pods: GPU nodes, spot nodes and the administrator's own."""

from vott_operator.objects.metadata import Manifest
from vott_operator.settings.trainer import TrainerSettings

NVIDIA_GPU = "nvidia.com/gpu"
GPU_TOLERATIONS = (
    {"key": NVIDIA_GPU, "operator": "Exists", "effect": "NoSchedule"},
    # https://learn.microsoft.com/azure/aks/use-nvidia-gpu
    {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
)
# https://learn.microsoft.com/azure/aks/spot-node-pool
SPOT_TOLERATION = {
    "key": "kubernetes.azure.com/scalesetpriority",
    "operator": "Equal",
    "value": "spot",
    "effect": "NoSchedule",
}


def tolerations(gpu_resource_name: str, settings: TrainerSettings) -> list[Manifest]:
    """The taints that a pod tolerates; a GPU resource of another name is tolerated as a taint of that name."""
    result: list[Manifest] = list(GPU_TOLERATIONS)
    if gpu_resource_name != NVIDIA_GPU:
        result.append({"key": gpu_resource_name, "operator": "Exists", "effect": "NoSchedule"})
    if settings.tolerate_spot:
        result.append(SPOT_TOLERATION)
    return [*result, *settings.tolerations]
