"""Recognize errors of a GPU, its driver or its libraries.

By class names and texts: torch has no classes for most of them, and a plugin without torch must not import it.
"""

import re

from vott_trainer.errors import GPUError, first_line
from vott_trainer.process.gpu_assignment import gpu_name

GPU_CLASSES = {"AcceleratorError"}
GPU_TEXTS = re.compile(
    r"CUDA error|cuDNN error|CUDNN_STATUS_|CUBLAS_STATUS_|unhandled cuda error|ncclUnhandledCudaError", re.IGNORECASE
)
# Too little memory is a matter of the parameters, a failed assertion on the device one of the program or its data.
NOT_THE_GPU = re.compile(r"out of memory|_ALLOC_FAILED|device-side assert", re.IGNORECASE)


def is_memory_or_assertion(error: Exception) -> bool:
    """Whether the GPU works, but its memory is too small or an assertion of a kernel failed."""
    return type(error).__name__ == "OutOfMemoryError" or bool(NOT_THE_GPU.search(str(error)))


def as_gpu_error(error: Exception, local_rank: int) -> GPUError | None:
    """Return the GPUError for a failed GPU; None for any other error."""
    text = str(error)
    if is_memory_or_assertion(error) or not (type(error).__name__ in GPU_CLASSES or GPU_TEXTS.search(text)):
        return None
    return GPUError(
        f"GPU {gpu_name(local_rank)} failed: {first_line(error)}. The training restarts, perhaps on another GPU. If this repeats, "
        "look for Xid messages in the node's kernel log (`dmesg | grep Xid`) and take the node out of service (`kubectl cordon`)."
    )
