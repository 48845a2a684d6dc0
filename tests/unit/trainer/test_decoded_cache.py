"""The cache of decoded images: one size limit for all datasets, freed with them."""

import threading
from pathlib import Path

import pytest
from PIL import Image

from vott_trainer.plugin_api import LabelledImage
from vott_trainer.vision import decoded_cache
from vott_trainer.vision.decoded_cache import CacheMemory
from vott_trainer.vision.detector_samples import Sample, Samples, load_sample

BYTES = 3 * 20 * 10  # an item


@pytest.fixture
def labelled(tmp_path: Path) -> list[LabelledImage]:
    for number in range(6):
        Image.new("RGB", (20, 10)).save(tmp_path / f"{number}.png")
    return [LabelledImage(f"https://store/{n}.png", tmp_path / f"{n}.png", []) for n in range(6)]


def hits(samples: Samples) -> int:
    """How many items a second access returns from the cache."""
    first = list(samples)
    return sum(one is other for one, other in zip(first, samples, strict=True))


def test_datasets_share_memory_and_free_it(labelled: list[LabelledImage]) -> None:
    memory = CacheMemory(9 * BYTES)
    training, held_out = (Samples(labelled, [], 20, memory) for _ in range(2))
    assert (hits(training), hits(held_out)) == (6, 3)
    del training
    assert (hits(held_out), memory.free) == (6, 3 * BYTES)


def test_datasets_share_the_memory_of_their_process_by_default(
    labelled: list[LabelledImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded_cache, "CACHE_BYTES", 16 * BYTES)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    decoded_cache.shared_memory.cache_clear()
    try:
        training, held_out = (Samples(labelled, [], 20) for _ in range(2))
        assert (hits(training), hits(held_out)) == (6, 2)
    finally:
        decoded_cache.shared_memory.cache_clear()


def test_nothing_is_cached_without_memory(labelled: list[LabelledImage]) -> None:
    assert hits(Samples(labelled, [], 20, CacheMemory(0))) == 0


def test_item_loaded_by_two_threads_takes_memory_once(labelled: list[LabelledImage]) -> None:
    memory, both = CacheMemory(100 * BYTES), threading.Barrier(2)
    sample = load_sample(labelled[0], [], 20)

    def load(_index: int) -> Sample:
        both.wait(10)
        return sample

    items = decoded_cache.DecodedCache(load, memory)
    threads = [threading.Thread(target=items.__getitem__, args=(0,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.free == 99 * BYTES
