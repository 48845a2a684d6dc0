"""Messages between the processes of a training: JSON of typed values, validated on receipt."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch.distributed import HashStore  # type: ignore[attr-defined] # not in __all__

from vott_trainer.annotations.findings import Finding
from vott_trainer.errors import TrainerError
from vott_trainer.process.peer_messages import decode, encode
from vott_trainer.process.ranks import Ranks
from vott_trainer.process.store_peers import StorePeers


@dataclass(frozen=True)
class Message:
    numbers: list[int]
    findings: list[Finding]
    value: float = 0.0
    path: Path | None = None


@pytest.mark.parametrize(
    "message",
    [
        Message([], []),
        Message([1, 2], [Finding("line", "a.csv line 1", "too short")], 0.5, Path("/work/0.pt")),
        Message([], [Finding("image", "a\ud800.png", "half of a surrogate pair")], math.inf),
    ],
)
def test_message_arrives_as_it_was_sent(message: Message) -> None:
    text = encode(message, Message)
    assert text.isascii()
    assert decode(text, Message) == message
    assert decode(f"{text}   ", Message) == message


def test_not_a_number_arrives() -> None:
    assert math.isnan(decode(encode(math.nan, float), float))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"numbers": ["x"], "findings": []}', r"numbers\.0: Input should be a valid integer"),
        ('{"numbers": []}', "findings: Field required"),
        (
            '{"numbers": [], "findings": [{"kind": "word", "where": "", "what": ""}]}',
            r"findings\.0\.kind: Input should be",
        ),
        ("[]", "message: Input should be"),
        ("no JSON", "Expecting value"),
    ],
)
def test_invalid_message_names_the_field_and_the_remedy(text: str, problem: str) -> None:
    expected = f"^Another process of this training sent an invalid Message: {problem}.* run the same trainer image\\.$"
    with pytest.raises(TrainerError, match=expected):
        decode(text, Message)


def test_every_process_gets_the_results_of_all_nodes_in_order() -> None:
    store, results = HashStore(), dict[int, Sequence[Message]]()

    def run(rank: int) -> None:
        peers = StorePeers(Ranks(rank, 4, rank % 2, 2), store)
        results[rank] = peers.once_per_node(lambda: Message([rank], []), Message)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {rank: [Message([0], []), Message([2], [])] for rank in range(4)}
