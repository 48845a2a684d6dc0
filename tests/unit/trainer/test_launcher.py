"""Exit code of a container with several processes: that of the cause."""

import os
import signal
from pathlib import Path

import pytest
from torch import distributed
from torch.distributed import FileStore  # type: ignore[attr-defined] # re-exported without saying so
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from vott_trainer.errors import PeerLostError
from vott_trainer.process.launcher import WorkerKilledError, exit_code_of
from vott_trainer.process.ranks import Ranks
from vott_trainer.process.store_peers import StorePeers


def failures(*codes: int) -> list[ProcessFailure]:
    return [ProcessFailure(rank, 100 + rank, code, "") for rank, code in enumerate(codes)]


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ((), 0),
        ((65,), 65),
        ((75, 65), 65),  # the first process only lost the second
        ((143, 73), 73),  # the first process was stopped because of the second
        ((-signal.SIGTERM, 75), 75),
        ((-signal.SIGTERM, -signal.SIGTERM), 143),
        ((70, 75, -signal.SIGTERM), 70),
        ((-signal.SIGABRT, 65), 65),  # NCCL ended the first process, which only lost the second
    ],
)
def test_container_ends_with_the_exit_code_of_the_cause(codes: tuple[int, ...], code: int) -> None:
    assert exit_code_of(failures(*codes)) == code


@pytest.mark.parametrize("codes", [(-signal.SIGKILL, 75), (75, -signal.SIGKILL), (143, -signal.SIGKILL)])
def test_process_ended_by_a_signal_is_the_cause(codes: tuple[int, ...]) -> None:
    with pytest.raises(WorkerKilledError, match=r"Process . of this pod was ended by SIGKILL") as raised:
        exit_code_of(failures(*codes))
    assert raised.value.exit_code == 137


@pytest.mark.parametrize("codes", [(-signal.SIGABRT,), (-signal.SIGABRT, -signal.SIGTERM), (-signal.SIGABRT, 75)])
def test_process_ended_by_nccl_has_lost_the_others(codes: tuple[int, ...]) -> None:
    with pytest.raises(PeerLostError, match=r"Process 0 of this pod was ended by SIGABRT, as NCCL does") as raised:
        exit_code_of(failures(*codes))
    assert raised.value.exit_code == 75


def test_process_killed_while_nccl_ended_the_others_is_the_cause() -> None:
    with pytest.raises(WorkerKilledError, match=r"Process 1 of this pod was ended by SIGKILL"):
        exit_code_of(failures(-signal.SIGABRT, -signal.SIGKILL))


def test_collectives_of_gpus_end_a_hung_training_and_do_not_block_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TORCH_NCCL_ASYNC_ERROR_HANDLING", "TORCH_NCCL_BLOCKING_WAIT"):
        monkeypatch.setenv(name, "")  # restored after the test
        monkeypatch.delenv(name)
    peers = StorePeers(Ranks(), FileStore(str(tmp_path / "store"), 1))
    peers.start_group()
    distributed.destroy_process_group()
    assert os.environ["TORCH_NCCL_ASYNC_ERROR_HANDLING"] == "3"
    assert "TORCH_NCCL_BLOCKING_WAIT" not in os.environ
