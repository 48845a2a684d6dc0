"""Exit code of a container with several processes: that of the cause."""

import signal

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from vott_trainer.process.launcher import WorkerKilledError, exit_code_of


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
    ],
)
def test_container_ends_with_the_exit_code_of_the_cause(codes: tuple[int, ...], code: int) -> None:
    assert exit_code_of(failures(*codes)) == code


@pytest.mark.parametrize("codes", [(-signal.SIGKILL, 75), (75, -signal.SIGKILL), (143, -signal.SIGKILL)])
def test_process_ended_by_a_signal_is_the_cause(codes: tuple[int, ...]) -> None:
    with pytest.raises(WorkerKilledError, match=r"Process . of this pod was ended by SIGKILL") as raised:
        exit_code_of(failures(*codes))
    assert raised.value.exit_code == 137
