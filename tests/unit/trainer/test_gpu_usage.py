"""The GPU that is reported is the training's own, also where several trainings share a machine."""

from types import SimpleNamespace

import pytest

from vott_trainer.process import gpu_usage as module
from vott_trainer.process.gpu_assignment import has_assigned_gpus
from vott_trainer.process.gpu_usage import GPUUsage, gpu_usage

UUIDS = ["GPU-0000", "GPU-1111", "GPU-2222", "GPU-3333"]
# Stands for NVML, which needs a driver; GPU n uses n GiB and n %.
FOUR_GPUS = SimpleNamespace(
    NVMLError=ValueError,
    nvmlInit=lambda: None,
    nvmlShutdown=lambda: None,
    nvmlDeviceGetHandleByIndex=lambda index: range(4)[index],
    nvmlDeviceGetHandleByUUID=UUIDS.index,
    nvmlDeviceGetMemoryInfo=lambda gpu: SimpleNamespace(used=gpu << 30),
    nvmlDeviceGetUtilizationRates=lambda gpu: SimpleNamespace(gpu=gpu),
)


@pytest.mark.parametrize(
    ("visible", "gpu"),
    [
        (None, 0),
        ("3", 3),
        ("2,3", 2),
        (" 1 ", 1),
        ("GPU-3333", 3),
        ("", None),
        ("-1", None),
        ("7", None),
        ("MIG-x", None),
    ],
)
def test_usage_is_of_the_first_gpu_that_cuda_sees(
    visible: str | None, gpu: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "pynvml", FOUR_GPUS)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_usage() == (None if gpu is None else GPUUsage(gpu * 1024, gpu))


@pytest.mark.parametrize(
    ("cuda", "plugin", "assigned"),
    [
        (None, None, False),
        (None, "all", False),
        (None, "GPU-a,GPU-b", True),
        ("3", "all", True),
        ("", "GPU-a", False),
        ("-1", "all", False),
    ],
)
def test_gpu_is_assigned_by_the_device_plugin_or_by_cuda_visible_devices(
    cuda: str | None, plugin: str | None, assigned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("CUDA_VISIBLE_DEVICES", cuda), ("NVIDIA_VISIBLE_DEVICES", plugin)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert has_assigned_gpus() is assigned
