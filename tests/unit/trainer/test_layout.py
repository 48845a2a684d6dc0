"""Nodes and processes per container: torchrun's PET_ variables."""

import pytest

from vott_trainer.errors import InvalidParametersError
from vott_trainer.process.layout import Layout

PET = {"PET_NNODES": "2", "PET_NPROC_PER_NODE": "4", "PET_NODE_RANK": "1", "PET_MASTER_ADDR": "cats-0.cats"}


def test_without_torchruns_variables_there_is_no_layout() -> None:
    assert Layout.from_environment({}) is None


@pytest.mark.parametrize(("nodes", "processes"), [("1", "2"), ("2", "1")])
def test_more_than_one_process_is_a_layout(nodes: str, processes: str) -> None:
    layout = Layout.from_environment({"PET_NNODES": nodes, "PET_NPROC_PER_NODE": processes})
    assert layout == Layout(int(nodes), int(processes), 0, "127.0.0.1", 29500)


def test_layout_is_read_in_full() -> None:
    assert Layout.from_environment(PET | {"PET_MASTER_PORT": "1234"}) == Layout(2, 4, 1, "cats-0.cats", 1234)


@pytest.mark.parametrize("environment", [PET | {"RANK": "3"}, {"PET_NNODES": "1", "PET_NPROC_PER_NODE": "1"}])
def test_one_process_or_a_process_of_torchrun_has_no_layout(environment: dict[str, str]) -> None:
    assert Layout.from_environment(environment) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PET_NPROC_PER_NODE": "auto"}, "PET_NPROC_PER_NODE: expected a whole number of at least 1, found 'auto'"),
        ({"PET_NNODES": "1:2"}, "PET_NNODES: expected a whole number"),
        ({"PET_NNODES": "0"}, "PET_NNODES: expected a whole number of at least 1"),
        ({"PET_NODE_RANK": "2"}, "PET_NODE_RANK is 2, but PET_NNODES is 2"),
    ],
)
def test_invalid_layout_is_a_usage_error(changes: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParametersError, match=message):
        Layout.from_environment(PET | changes)
