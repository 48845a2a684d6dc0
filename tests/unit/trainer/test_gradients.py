"""Gradients of several processes: averaged in buckets, and never waited for in vain. Two processes do it in test_distributed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.distributed import FileStore  # type: ignore[attr-defined] # re-exported without saying so

from tests.unit.trainer.toy import Toy, ToyParameters, same, toy_run, weights
from vott_trainer.learning import gradients, learn

PLACES = torch.tensor([[1.0, 2.0], [3.0, -1.0]])


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A group of this process only, which sends its gradients to itself."""
    distributed.init_process_group("gloo", store=FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """What is sent, and that each bucket holds one parameter."""
    monkeypatch.setattr(gradients, "BUCKET_BYTES", 1)
    told: list[list[float]] = []
    send = distributed.all_reduce

    def heard(flat: Tensor, async_op: bool) -> object:
        told.append(flat.tolist())
        return send(flat, async_op=async_op)

    monkeypatch.setattr(distributed, "all_reduce", heard)
    return told


def model() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def plain(network: nn.Module) -> list[list[float]]:
    return [parameter.grad.flatten().tolist() for parameter in network.parameters() if parameter.grad is not None]


@pytest.mark.usefixtures("group")
def test_all_gradients_are_sent_while_they_are_made_and_come_back(sent: list[list[float]]) -> None:
    alone, together = model(), model()
    alone(PLACES).sum().backward()
    shared = gradients.of(together)
    shared.expect()
    together(PLACES).sum().backward()
    assert sent == plain(alone)[::-1], "before anybody waits for them, the last layer's first"
    shared.finish()
    for parameter in together.parameters():
        assert parameter.grad is not None
        parameter.grad.zero_()
    shared.take()
    assert plain(together) == plain(alone)


@pytest.mark.usefixtures("group")
def test_gradients_of_parts_add_up_and_are_sent_once(sent: list[list[float]]) -> None:
    alone, together = model(), model()
    alone(PLACES).sum().backward()
    shared = gradients.of(together)
    together(PLACES[:1]).sum().backward()
    assert sent == []
    shared.expect()
    together[0](PLACES[1:]).sum().backward()  # does not come to the last layer
    shared.finish()
    assert len(sent) == 4
    assert any(sent[0]), "what an earlier part has made counts"


@pytest.mark.usefixtures("group")
def test_a_pass_that_breaks_off_is_sent_whole_and_the_next_one_is_right(sent: list[list[float]]) -> None:
    alone, together = model(), model()
    alone(PLACES).sum().backward()
    shared = gradients.of(together)

    def too_large(_gradient: Tensor) -> None:
        raise torch.OutOfMemoryError

    middle = together[0](PLACES)
    middle.register_hook(too_large)
    shared.expect()
    with pytest.raises(torch.OutOfMemoryError):
        together[1](middle).sum().backward()
    made = len(sent)
    shared.finish()
    assert (made, len(sent)) == (2, 4)
    assert [any(one) for one in sent] == [True, True, False, False]
    together.zero_grad()
    shared.expect()
    together(PLACES).sum().backward()
    shared.finish()
    shared.take()
    assert plain(together) == plain(alone)


@pytest.mark.usefixtures("group", "sent")
def test_a_gradient_made_twice_is_refused_not_lost() -> None:
    network = model()
    gradients.of(network).expect()
    network(PLACES).sum().backward()
    with pytest.raises(RuntimeError, match="reentrant checkpointing"):
        network(PLACES).sum().backward()


def test_a_group_learns_what_a_process_alone_learns(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    runs = [toy_run(tmp_path / name) for name in ("alone", "group")]
    learn(Toy(), runs[0], ToyParameters(epochs=2, batchSize=6))
    request.getfixturevalue("group")
    learn(Toy(), runs[1], ToyParameters(epochs=2, batchSize=6))
    assert same(weights(runs[0]), weights(runs[1]))
