"""Translation of torch's errors: a failed GPU, a lost peer."""

import pytest
import torch
from torch import distributed

from vott_trainer.errors import BadAnnotationsError, DiskFullError, GPUError, PeerLostError
from vott_trainer.process.library_errors import translate, translated
from vott_trainer.process.ranks import Ranks

PAIR = Ranks(1, 2, 1, 2)
TWO_NODES = Ranks(1, 2, 0, 1)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors might be …"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        distributed.DistBackendError("NCCL error in: NCCLUtils.cpp, unhandled cuda error (run with NCCL_DEBUG=INFO)"),
    ],
)
@pytest.mark.parametrize("ranks", [Ranks(), PAIR])
def test_failed_gpu_is_recognized(error: RuntimeError, ranks: Ranks) -> None:
    translation = translate(error, ranks)
    assert isinstance(translation, GPUError)
    assert (translation.reason, translation.exit_code) == ("GPUError", 75)
    assert "\n" not in str(translation)
    for part in (f"GPU {ranks.local_rank} failed: {str(error).splitlines()[0]}", "Xid", "kubectl cordon"):
        assert part in str(translation)


def test_gpu_is_named_by_the_device_plugins_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "GPU-aaaa,GPU-bbbb")
    assert "GPU 1 (GPU-bbbb) failed" in str(translate(torch.AcceleratorError("CUDA error: unknown"), PAIR))


@pytest.mark.parametrize(
    ("visible", "name"), [("2,0", "GPU 0 (GPU-aaaa)"), ("0,2", "GPU 2"), ("GPU-x,GPU-y", "GPU GPU-y"), ("3", "GPU 1")]
)
def test_gpu_is_named_as_in_cuda_visible_devices(visible: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "GPU-aaaa,GPU-bbbb")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert f"{name} failed" in str(translate(torch.AcceleratorError("CUDA error: unknown"), PAIR))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[gloo/transport/tcp/pair.cc:544] Connection closed by peer [10.0.0.7]:1234"),
        RuntimeError("Connection reset by peer"),
        distributed.DistBackendError("NCCL error: remote process exited or there was a network error, ncclRemoteError"),
        distributed.DistNetworkError("failed to recv, got 0 bytes"),
    ],
)
def test_lost_peer_is_recognized(error: RuntimeError) -> None:
    translation = translate(error, TWO_NODES)
    assert isinstance(translation, PeerLostError)
    assert (translation.reason, translation.exit_code) == ("PeerLost", 75)
    assert "The cause is in another pod of this Job" in str(translation)
    assert "in another process of this pod" in str(translate(error, PAIR))


@pytest.mark.parametrize(
    ("error", "ranks"),
    [
        (RuntimeError("shapes do not match"), PAIR),
        (RuntimeError("Connection reset by peer"), Ranks()),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), PAIR),
        (RuntimeError("CUDA error: out of memory"), PAIR),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), PAIR),
    ],
)
def test_other_errors_pass_unchanged(error: RuntimeError, ranks: Ranks) -> None:
    with pytest.raises(type(error)) as raised, translated(ranks):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("write: No space left on device")]
)
def test_full_disk_is_recognized(error: Exception) -> None:
    with (
        pytest.raises(DiskFullError, match=r"^The disk is full: .*No space left on device\. Train with fewer"),
        translated(Ranks()),
    ):
        raise error


def test_trainer_errors_pass_unchanged() -> None:
    with pytest.raises(BadAnnotationsError), translated(PAIR):
        raise BadAnnotationsError("line 7")
