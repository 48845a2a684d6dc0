"""What torch raises when a GPU breaks or a peer is gone, and which process' word the container ends with."""

import signal

import pytest
import torch
from torch import distributed
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from vott_trainer.errors import BadAnnotationsError, GPUError, PeerLostError
from vott_trainer.process.launcher import WorkerKilledError, verdict
from vott_trainer.process.library_errors import recognise, recognised
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
def test_fault_of_a_gpu_is_recognised(error: RuntimeError, ranks: Ranks) -> None:
    found = recognise(error, ranks)
    assert isinstance(found, GPUError)
    assert (found.reason, found.exit_code) == ("GPUError", 75)
    assert "\n" not in str(found)
    for word in (f"GPU {ranks.local_rank} failed: {str(error).splitlines()[0]}", "Xid", "kubectl cordon"):
        assert word in str(found)


def test_gpu_is_named_as_the_device_plugin_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "GPU-aaaa,GPU-bbbb")
    assert "GPU 1 (GPU-bbbb) failed" in str(recognise(torch.AcceleratorError("CUDA error: unknown"), PAIR))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[gloo/transport/tcp/pair.cc:544] Connection closed by peer [10.0.0.7]:1234"),
        RuntimeError("Connection reset by peer"),
        distributed.DistBackendError("NCCL error: remote process exited or there was a network error, ncclRemoteError"),
        distributed.DistNetworkError("failed to recv, got 0 bytes"),
    ],
)
def test_lost_peer_is_recognised(error: RuntimeError) -> None:
    found = recognise(error, TWO_NODES)
    assert isinstance(found, PeerLostError)
    assert (found.reason, found.exit_code) == ("PeerLost", 75)
    assert "The cause is in another pod of this Job" in str(found)
    assert "in another process of this pod" in str(recognise(error, PAIR))


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
def test_other_errors_stay_what_they_are(error: RuntimeError, ranks: Ranks) -> None:
    with pytest.raises(type(error)) as raised, recognised(ranks):
        raise error
    assert raised.value is error


def test_own_errors_pass_through() -> None:
    with pytest.raises(BadAnnotationsError), recognised(PAIR):
        raise BadAnnotationsError("line 7")


def failed(*codes: int) -> list[ProcessFailure]:
    return [ProcessFailure(rank, 100 + rank, code, "") for rank, code in enumerate(codes)]


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ((), 0),
        ((65,), 65),
        ((75, 65), 65),  # the first one only lost the second one
        ((143, 73), 73),  # the first one was stopped because of the second one
        ((-signal.SIGTERM, 75), 75),
        ((-signal.SIGTERM, -signal.SIGTERM), 143),
        ((70, 75, -signal.SIGTERM), 70),
    ],
)
def test_container_ends_with_the_code_of_the_cause(codes: tuple[int, ...], code: int) -> None:
    assert verdict(failed(*codes)) == code


@pytest.mark.parametrize("codes", [(-signal.SIGKILL, 75), (75, -signal.SIGKILL), (143, -signal.SIGKILL)])
def test_process_ended_by_a_signal_is_the_cause(codes: tuple[int, ...]) -> None:
    with pytest.raises(WorkerKilledError, match=r"Process . of this pod was ended by SIGKILL") as raised:
        verdict(failed(*codes))
    assert raised.value.exit_code == 137
