"""Rank and world size: torchrun's variables of one process."""

from vott_trainer.process.ranks import Ranks


def test_without_torchruns_variables_the_process_is_alone() -> None:
    assert Ranks.from_environment({}) == Ranks(0, 1, 0, 1)
    assert Ranks().alone


def test_node_and_roles_follow_from_the_ranks() -> None:
    environment = {"RANK": "4", "WORLD_SIZE": "8", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "4"}
    ranks = Ranks.from_environment(environment)
    assert (ranks.node, ranks.nodes, ranks.leads, ranks.leads_node) == (1, 2, False, True)
