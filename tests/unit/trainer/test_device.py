"""The device of a process, and its precision."""

import subprocess
import sys

import pytest
import torch

from vott_trainer.errors import GPUError
from vott_trainer.learning import device
from vott_trainer.learning.mixed_precision import autocast, grad_scaler, precision
from vott_trainer.process.ranks import Ranks

PAGE_FAULTS = """
import resource, torch
from vott_trainer.learning import device
from vott_trainer.process.ranks import Ranks
device.prepare(Ranks())
def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(16_000_000)  # 61 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(min(page_faults() for _ in range(3)))  # a busy machine adds some
"""

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of GPUs that torch finds, to be set; then the GPU that was chosen."""
    found = [2]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found[0])
    monkeypatch.setattr(torch.cuda, "set_device", found.append)
    return found


def test_each_process_has_its_gpu(gpus: list[int]) -> None:
    assert device.prepare(Ranks(3, 4, 1, 2)) == torch.device("cuda", 1)
    assert gpus == [2, 1]


def test_fewer_gpus_than_processes_are_an_error(gpus: list[int]) -> None:
    gpus[0] = 1
    with pytest.raises(GPUError, match="This pod sees 1 of its 2 GPUs"):
        device.prepare(Ranks(3, 4, 1, 2))


@pytest.mark.parametrize(
    ("bfloat16", "capability", "dtype"),
    [(True, (8, 0), torch.bfloat16), (False, (7, 0), torch.float16), (False, (6, 1), torch.float32)],
)
def test_precision_follows_what_the_gpu_computes_in_hardware(
    bfloat16: bool, capability: tuple[int, int], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_options: bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert precision(GPU) is dtype


def test_cpu_computes_in_float32_without_loss_scaling() -> None:
    assert precision(CPU) is torch.float32
    assert not grad_scaler(CPU).is_enabled()
    with autocast(CPU):
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype is torch.float32


def test_memory_of_large_tensors_is_reused_on_a_cpu() -> None:
    """In a process of its own, because the allocator's settings last as long as the process."""
    outcome = subprocess.run([sys.executable, "-c", PAGE_FAULTS], capture_output=True, text=True, check=True)
    assert int(outcome.stdout) < 40_000  # each tensor has 15,625 pages
