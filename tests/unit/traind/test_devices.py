"""GPUs become slots; each training sees only its own."""

from typing import Any

import pynvml
import pytest

from vott_messaging.errors import SettingsError
from vott_traind.devices import Slot, divide, find_gpus


@pytest.mark.parametrize(
    ("gpus", "per_training", "expected"),
    [
        ([], 1, [()]),
        (["a", "b"], 1, [("a",), ("b",)]),
        (["a", "b", "c"], 2, [("a", "b")]),
        (["a", "b", "c", "d"], 2, [("a", "b"), ("c", "d")]),
    ],
)
def test_one_training_at_a_time_on_each_share_of_the_gpus(
    gpus: list[str], per_training: int, expected: list[tuple[str, ...]]
) -> None:
    slots = divide(gpus, per_training)
    assert [slot.gpus for slot in slots] == expected
    assert [slot.number for slot in slots] == list(range(len(expected)))


@pytest.mark.parametrize("gpus", [[], ["a"]])
def test_too_few_gpus_are_an_error(gpus: list[str]) -> None:
    with pytest.raises(SettingsError, match=f"--gpus-per-training is 2, but this machine has {len(gpus)}"):
        divide(gpus, 2)


def test_a_trainer_gets_its_gpus_and_a_process_for_each() -> None:
    assert Slot(0).environment == {}
    assert Slot(1, ("a",)).environment == {"CUDA_VISIBLE_DEVICES": "a"}
    variables = Slot(1, ("a", "b")).environment
    assert (variables["CUDA_VISIBLE_DEVICES"], variables["PET_NPROC_PER_NODE"]) == ("a,b", "2")
    assert variables["PET_MASTER_PORT"] != Slot(0, ("c", "d")).environment["PET_MASTER_PORT"]


@pytest.mark.parametrize(("visible", "gpus"), [("1, 0", ["1", "0"]), ("", []), ("-1", []), ("GPU-ab", ["GPU-ab"])])
def test_the_administrator_may_choose_the_gpus(visible: str, gpus: list[str]) -> None:
    assert find_gpus({"CUDA_VISIBLE_DEVICES": visible}) == gpus


def _fail(*_: object) -> Any:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)


def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", _fail)
    assert find_gpus({}) == []


def test_divided_gpus_count_as_their_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    def mig_handle(gpu: int, index: int) -> str:
        return f"mig-{gpu}-{index}" if index < 2 else _fail()

    fakes: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 3,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": lambda handle: f"UUID-{handle}",
        "nvmlDeviceGetMigMode": lambda gpu: _fail() if gpu == 0 else (int(gpu == 2), 0),
        "nvmlDeviceGetMaxMigDeviceCount": lambda _gpu: 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": mig_handle,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(pynvml, name, fake)
    assert find_gpus({}) == ["UUID-0", "UUID-1", "UUID-mig-2-0", "UUID-mig-2-1"]
