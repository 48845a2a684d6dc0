"""The device that a process learns on, and the precision that it has."""

import os

import torch
from torch import Tensor

from vott_trainer.errors import GPUError
from vott_trainer.plugin_api import Ranks
from vott_trainer.process.cpu_count import usable_cpus
from vott_trainer.process.gpu_assignment import has_assigned_gpus

SPARE = 10  # one part in so many of a GPU's memory
VOLTA = 7  # compute capability from which on float16 is quick


def prepare(ranks: Ranks) -> torch.device:
    """Return this process' GPU if there are any, else the CPU with its share of threads.

    Raises:
        GPUError: the container has fewer GPUs than processes.
    """
    torch.set_flush_denormal(True)  # tiny numbers make a CPU slow
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(workers(ranks))
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not found and not has_assigned_gpus():
        return torch.device("cpu")
    if found < ranks.local_world_size:
        raise GPUError(
            f"This pod sees {found} of its {ranks.local_world_size} GPUs. See the node's Xid messages (`dmesg | grep Xid`) "
            "and its device plugin, and take the node out of service (`kubectl cordon`)."
        )
    torch.cuda.set_device(ranks.local_rank)
    return torch.device("cuda", ranks.local_rank)


def workers(ranks: Ranks) -> int:
    """Return the number of threads for this process; those of one node share its CPUs."""
    return max(1, usable_cpus() // ranks.local_world_size)


def precision(device: torch.device) -> torch.dtype:
    """Return what to compute in: bfloat16 or float16 where a GPU has it in hardware, else float32."""
    if device.type != "cuda":
        return torch.float32
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16 if torch.cuda.get_device_capability(device)[0] >= VOLTA else torch.float32


def ballast(device: torch.device) -> Tensor | None:
    """Return what takes a share of a GPU's memory, so that what fits beside it leaves this share to spare; on a CPU nothing."""
    if device.type != "cuda":
        return None
    return torch.empty(torch.cuda.get_device_properties(device).total_memory // SPARE, dtype=torch.uint8, device=device)


def autocast(device: torch.device) -> torch.autocast:
    """Return the context to compute losses in."""
    dtype = precision(device)
    return torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)


def name(device: torch.device) -> str:
    """Return what people call it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
