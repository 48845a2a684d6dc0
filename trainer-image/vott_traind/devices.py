"""The machine's GPUs, divided into slots: one training at a time on each."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pynvml

from vott_messaging.errors import SettingsError

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
FIRST_PORT = 29500
"""torchrun's default rendezvous port. Slots use different ones."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one training; without GPUs it trains on the CPU."""

    number: int
    gpus: tuple[str, ...] = ()
    """As in CUDA_VISIBLE_DEVICES: UUIDs, or what the administrator has set."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that give the trainer these GPUs, and a process for each (docs/trainer-contract.md)."""
        variables = {VISIBLE: ",".join(self.gpus)} if self.gpus else {}
        if len(self.gpus) > 1:
            variables |= {"PET_NNODES": "1", "PET_NPROC_PER_NODE": str(len(self.gpus)), "PET_NODE_RANK": "0"}
            variables |= {"PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(FIRST_PORT + self.number)}
        return variables

    def __str__(self) -> str:
        return ", ".join(f"GPU {gpu}" if gpu.isdecimal() else gpu for gpu in self.gpus) or "CPU"


def divide(gpus: Sequence[str], gpus_per_training: int) -> list[Slot]:
    """Divide the GPUs into slots; without any there is one slot.

    Raises:
        SettingsError: there are fewer GPUs than one training needs.
    """
    if not gpus and gpus_per_training == 1:
        return [Slot(0)]
    count, unused = divmod(len(gpus), gpus_per_training)
    if not count:
        raise SettingsError(
            f"--gpus-per-training is {gpus_per_training}, but this machine has {len(gpus)}; lower it, or give the container more (--gpus all)"
        )
    if unused:
        logger.warning("%d of %d GPUs stay unused: each training gets %d", unused, len(gpus), gpus_per_training)
    return [
        Slot(number, tuple(gpus[number * gpus_per_training : (number + 1) * gpus_per_training]))
        for number in range(count)
    ]


def find_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the GPUs that trainings may use: those of CUDA_VISIBLE_DEVICES, else all, MIG instances instead of divided GPUs."""
    if (visible := environment.get(VISIBLE)) is not None:
        return [entry for entry in map(str.strip, visible.split(",")) if entry and entry != "-1"]
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver
        return []
    try:
        return list(_uuids())
    finally:
        pynvml.nvmlShutdown()


def _uuids() -> Iterator[str]:
    for index in range(pynvml.nvmlDeviceGetCount()):
        gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
        yield from _mig_instances(gpu) or [pynvml.nvmlDeviceGetUUID(gpu)]


def _mig_instances(gpu: object) -> list[str]:
    """Return the UUIDs of a GPU's MIG instances; none if it is not divided."""
    try:
        if pynvml.nvmlDeviceGetMigMode(gpu)[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
            return []
        count = pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)
    except pynvml.NVMLError:  # a model without MIG
        return []
    return [uuid for index in range(count) if (uuid := _mig_uuid(gpu, index))]


def _mig_uuid(gpu: object, index: int) -> str:
    try:
        return str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)))
    except pynvml.NVMLError:  # fewer instances than the model allows
        return ""
