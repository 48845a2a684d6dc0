"""What torch and others raise when a GPU breaks, a peer is gone or a disk is full, as errors that say so.

Told by class names and texts: torch has no classes for most of it, and a plugin without torch must not wait for its import.
"""

import contextlib
import os
import re
from collections.abc import Iterator

from vott_trainer.errors import DiskFullError, GPUError, PeerLostError, TrainerError
from vott_trainer.process.ranks import Ranks

GPU_CLASSES = {"AcceleratorError"}
GPU_TEXTS = re.compile(
    r"CUDA error|cuDNN error|CUDNN_STATUS_|CUBLAS_STATUS_|unhandled cuda error|ncclUnhandledCudaError", re.IGNORECASE
)
# Too little memory is a matter of the parameters; a failed assertion on the device one of the program or its data.
NOT_THE_GPUS_FAULT = re.compile(r"out of memory|_ALLOC_FAILED|device-side assert", re.IGNORECASE)
DISK_TEXTS = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
UUID_PREFIXES = ("GPU-", "MIG-")
PEER_CLASSES = {"DistBackendError", "DistNetworkError", "DistStoreError"}
PEER_TEXTS = re.compile(
    r"gloo[/:]|Connection (closed|reset|refused)|Broken pipe|ncclRemoteError|Timed out waiting", re.IGNORECASE
)


@contextlib.contextmanager
def recognised(ranks: Ranks) -> Iterator[None]:
    """Turn a GPU's fault, a lost peer and a full disk into GPUError, PeerLostError and DiskFullError; let everything else pass."""
    try:
        yield
    except TrainerError:
        raise
    except Exception as error:
        known = recognise(error, ranks)
        if known is None:
            raise
        raise known from error


def recognise(error: Exception, ranks: Ranks) -> TrainerError | None:
    """Return what stands behind an error of a library's, None for any other error."""
    name, text = type(error).__name__, str(error)
    if DISK_TEXTS.search(text):
        return DiskFullError(
            f"The disk is full: {_first_line(text)}. Raise trainer.workVolume in the chart's values, train with fewer or smaller "
            "images, or give the nodes larger disks."
        )
    if not isinstance(error, RuntimeError):
        return None
    if name == "OutOfMemoryError" or NOT_THE_GPUS_FAULT.search(text):
        return None
    if name in GPU_CLASSES or GPU_TEXTS.search(text):
        return _gpu_error(text, ranks)
    if not ranks.alone and (name in PEER_CLASSES or PEER_TEXTS.search(text)):
        return _peer_lost(text, ranks)
    return None


def was_given_gpus() -> bool:
    """Whether the device plugin gave this container real GPUs, be they usable or not."""
    return os.environ.get("NVIDIA_VISIBLE_DEVICES", "").startswith(UUID_PREFIXES)


def _gpu_error(text: str, ranks: Ranks) -> GPUError:
    return GPUError(
        f"GPU {_gpu(ranks)} failed: {_first_line(text)}. The training starts again, perhaps on another GPU. If this repeats, "
        "look for Xid messages in the node's kernel log (`dmesg | grep Xid`) and take the node out of service (`kubectl cordon`)."
    )


def _gpu(ranks: Ranks) -> str:
    """Return the GPU's number in this pod and, where the device plugin tells it, its UUID: `0 (GPU-1b2c…)`."""
    names = os.environ.get("NVIDIA_VISIBLE_DEVICES", "").split(",")
    name = names[ranks.local_rank] if ranks.local_rank < len(names) else ""
    return f"{ranks.local_rank} ({name})" if name.startswith(UUID_PREFIXES) else str(ranks.local_rank)


def _peer_lost(text: str, ranks: Ranks) -> PeerLostError:
    if ranks.nodes > 1:
        where = "in another pod of this Job: see the logs and states of those"
    else:
        where = "in another process of this pod: see its lines in the log"
    return PeerLostError(f"Rank {ranks.rank} lost the others ({_first_line(text)}). The cause is {where}.")


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no text"])[0].rstrip(".")[:300]
