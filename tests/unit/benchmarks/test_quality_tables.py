"""Tables and picture of the results."""

from pathlib import Path

from PIL import Image

from benchmarks.quality import tables
from benchmarks.quality.picture import draw
from benchmarks.quality.runs import Cost, Result
from benchmarks.quality.tables import Results


def result(map50: float, minutes: float = 1.0) -> Result:
    settings = {"architecture": "small", "imageSize": 320}
    return Result({"mAP50": map50, "mAP": map50 / 2}, 8, settings, "CPU, 2 threads", Cost(minutes, 1.5, 900.0))


RESULTS: Results = {
    ("cats", "default"): {0: result(0.5), 1: result(0.7), 2: result(0.1)},
    ("cats", "long"): {0: result(0.6, 3.0), 1: result(0.9, 4.0)},
    ("dogs", "default"): {},
    ("dogs", "long"): {0: result(0.8)},
}


def cells(table: str) -> list[list[str]]:
    lines = table.splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in [lines[0], *lines[2:]]]


def test_each_run_has_a_row() -> None:
    head, first, *others = cells(tables.runs_table(RESULTS))
    assert dict(zip(head, first, strict=True)) == {
        "data set": "cats",
        "variant": "default",
        "seed": "0",
        "mAP50": "0.500",
        "mAP": "0.250",
        "epochs": "8",
        "minutes": "1.0",
        "CPU minutes": "1.5",
        "peak MiB": "900",
        "network": "small at 320 px",
        "device": "CPU, 2 threads",
    }
    assert len(others) == 5


def test_the_summary_has_means_and_ranges_over_the_seeds() -> None:
    _, default, long, dogs = cells(tables.summary_table(RESULTS))
    assert default[:5] == ["cats", "default", "3", "0.433 (0.100 to 0.700)", "0.217 (0.050 to 0.350)"]
    assert long[-2] == "3.5 (3.0 to 4.0)"
    assert dogs[:4] == ["dogs", "long", "1", "0.800"]


def test_differences_are_between_runs_with_the_same_seed() -> None:
    (head, row) = cells(tables.differences_table(RESULTS))
    assert head == ["data set", "variant", "seeds", "mAP50", "mAP", "minutes"]
    assert row == [
        "cats", "long", "2", "+0.150 (+0.100 to +0.200)", "+0.075 (+0.050 to +0.100)", "+2.5 (+2.0 to +3.0)"
    ]  # fmt: skip


def test_the_picture_shows_every_group_even_one_whose_runs_failed(tmp_path: Path) -> None:
    draw(RESULTS, tmp_path / "results.png")
    with Image.open(tmp_path / "results.png") as picture:
        assert picture.width > picture.height > 300
