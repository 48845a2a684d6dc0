"""Which processes there are: torchrun's variables."""

import pytest

from vott_trainer.errors import InvalidParametersError
from vott_trainer.process.ranks import Layout, Ranks

PET = {"PET_NNODES": "2", "PET_NPROC_PER_NODE": "4", "PET_NODE_RANK": "1", "PET_MASTER_ADDR": "cats-0.cats"}


def test_container_without_torchruns_variables_is_one_process() -> None:
    assert Layout.from_environment({}) is None
    assert Ranks.from_environment({}) == Ranks(0, 1, 0, 1)
    assert Ranks().alone


@pytest.mark.parametrize(("nodes", "processes"), [("1", "2"), ("2", "1")])
def test_more_than_one_process_is_a_layout(nodes: str, processes: str) -> None:
    found = Layout.from_environment({"PET_NNODES": nodes, "PET_NPROC_PER_NODE": processes})
    assert found == Layout(int(nodes), int(processes), 0, "127.0.0.1", 29500)


def test_layout_is_read_in_full() -> None:
    assert Layout.from_environment(PET | {"PET_MASTER_PORT": "1234"}) == Layout(2, 4, 1, "cats-0.cats", 1234)


@pytest.mark.parametrize("environment", [PET | {"RANK": "3"}, {"PET_NNODES": "1", "PET_NPROC_PER_NODE": "1"}])
def test_process_that_torchrun_started_starts_no_others(environment: dict[str, str]) -> None:
    assert Layout.from_environment(environment) is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"PET_NPROC_PER_NODE": "auto"}, "PET_NPROC_PER_NODE: expected a whole number from 1 on, found 'auto'"),
        ({"PET_NNODES": "1:2"}, "PET_NNODES: expected a whole number"),
        ({"PET_NNODES": "0"}, "PET_NNODES: expected a whole number from 1 on"),
        ({"PET_NODE_RANK": "2"}, "PET_NODE_RANK is 2, but PET_NNODES is 2"),
    ],
)
def test_layout_that_can_not_be_is_wrong_usage(wrong: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParametersError, match=words):
        Layout.from_environment(PET | wrong)


def test_rank_knows_its_node_and_its_duties() -> None:
    environment = {"RANK": "4", "WORLD_SIZE": "8", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "4"}
    ranks = Ranks.from_environment(environment)
    assert (ranks.node, ranks.nodes, ranks.leads, ranks.leads_node) == (1, 2, False, True)
